// SPDX-License-Identifier: Apache-2.0
// What every fuzz target does before its first input: fuzz.h says what may be asked of it.
#include <fstream>

#include "props/fuzz/fuzz.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  if (const char* plant = std::getenv("TWINWIRE_PLANT"); plant != nullptr)
    FUZZ_CHECK(twinwire::plant::activate(plant), "there is no planted bug of that name");
  const char* folder = std::getenv("TWINWIRE_FUZZ_SEEDS");
  if (folder == nullptr) return 0;
  int number = 0;
  for (const twinwire::fuzz::Bytes& seed : twinwire::fuzz::seeds()) {
    std::ofstream file(std::string(folder) + "/seed-" + std::to_string(++number), std::ios::binary);
    file.write(reinterpret_cast<const char*>(seed.data()),
               static_cast<std::streamsize>(seed.size()));
    FUZZ_CHECK(file.good(), "a seed cannot be written");
  }
  std::exit(0);
}
