// SPDX-License-Identifier: Apache-2.0
#include "cli/log_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "cli/bus_tally.h"
#include "cli/exit_code.h"
#include "transport/log/wal_format.h"
#include "transport/wire/seal.h"

namespace twinwire::cli {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  try {
    if (file) return {std::istreambuf_iterator<char>(file), {}};
  } catch (const std::ios_base::failure&) {  // it can be opened, and not be read: a folder
  }
  bad_usage("cannot read the log " + path + ": " + std::strerror(errno));
}

}  // namespace

std::vector<LogFileEntry> read_log_file(const std::string& path) {
  const std::string text = text_of(path);
  const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
  log::WalHeadBytes head_bytes{};
  if (bytes.size() >= head_bytes.size())
    std::ranges::copy(bytes.first(head_bytes.size()), head_bytes.begin());
  const auto head = log::wal_head_of(head_bytes);
  if (!head) bad_usage(path + " is no log of twinwire, or its head is damaged");
  std::vector<LogFileEntry> entries;
  BusTally tally;
  std::vector<std::byte> answer;
  for (std::size_t at = log::wal_head_size;
       bytes.size() - at >= log::wal_mark_size + header_size;) {
    const auto frame = bytes.subspan(at + log::wal_mark_size);
    const std::size_t size = HeaderView(frame.data()).size();
    if (!log::batch_of_mark(head->salt, bytes.subspan(at, log::wal_mark_size), at) ||
        size < header_size || size > frame.size() || !seal_matches(frame.first(size)))
      break;
    const log::Fields fields(frame.data());
    LogFileEntry entry{fields.checksum()};
    entry.is_request = !fields.is_register() && size >= header_size + tally_label_size;
    if (entry.is_request) {
      entry.client = load<std::uint64_t>(frame.data() + header_size);
      entry.number = load<std::uint64_t>(frame.data() + header_size + 8);
    }
    if (!fields.is_register())
      tally.apply(entries.size() + 1, frame.first(size).subspan(header_size), answer);
    entry.applied = tally.applied();
    entry.sum = tally.sum();
    entries.push_back(entry);
    at += std::min<std::uint64_t>(log::wal_record_size(size), bytes.size() - at);
  }
  return entries;
}

}  // namespace twinwire::cli
