// SPDX-License-Identifier: Apache-2.0

// A QUIC that we did not write: quic-go, in both roles.
//
//	quic_peer [options] client ADDRESS   against `twinwire serve --transport quic`: 1,000 sealed requests of 256 B to
//	                                     1 MiB; every echo is compared, and the server's own count at the end
//	quic_peer [options] server           verifies and echoes what one client sends, then says what it saw
//
// One frame is one unidirectional stream, opened in order; a stream without a byte is the good-bye; who has said
// and read everything closes with code 0 (docs/quic.md). props/quic_interop_test.cc compiles and runs it.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	quic "github.com/lucas-clemente/quic-go"
	"github.com/lucas-clemente/quic-go/logging"
)

const (
	count   = 1000
	frameOf = 64 << 20 // no frame is larger
	patient = 100 * time.Second
)

var (
	alpn     = flag.String("alpn", "twinwire", "the protocol's `name`")
	caFile   = flag.String("ca", "", "client: whom to trust")
	name     = flag.String("name", "", "client: whom the certificate must name")
	newest   = flag.Bool("newest", false, "client: begin with QUIC version 2")
	extra    = flag.Int("extra", 0, "client: so many more requests, of 1 MiB")
	certFile = flag.String("cert", "", "server: the certificate to show")
	keyFile  = flag.String("key", "", "server: its key")
	retry    = flag.Bool("retry", false, "server: newcomers prove their address first")
	abreast  = flag.Int("abreast", 8, "so many streams are being written at one time")
)

// What the library tells of a connection beside its streams.
type watcher struct {
	logging.NullConnectionTracer
	retries, refusedVersions, keyUpdates int64
}

func (w *watcher) ReceivedRetry(*logging.Header)     { atomic.AddInt64(&w.retries, 1) }
func (w *watcher) UpdatedKey(logging.KeyPhase, bool) { atomic.AddInt64(&w.keyUpdates, 1) }
func (w *watcher) ReceivedVersionNegotiationPacket(*logging.Header, []logging.VersionNumber) {
	atomic.AddInt64(&w.refusedVersions, 1)
}

type tracer struct {
	logging.NullTracer
	seen watcher
}

func (t *tracer) TracerForConnection(context.Context, logging.Perspective,
	logging.ConnectionID) logging.ConnectionTracer {
	return &t.seen
}

func sizeOf(number int) int {
	if number >= count || number%50 == 49 {
		return 1 << 20
	}
	if number%10 == 9 {
		return 256 + number*number*37%60_000
	}
	return 256 + number*number*37%900
}

// sender writes frames, a stream each, opened in order. Several are being written at one time, so that their bytes
// lie interleaved in the packets.
type sender struct {
	conn quic.Connection
	room chan struct{}
	errs chan error
}

func newSender(conn quic.Connection) *sender {
	return &sender{conn, make(chan struct{}, *abreast), make(chan error, 1)}
}

func (s *sender) send(frame []byte) error {
	s.room <- struct{}{}
	stream, err := s.conn.OpenUniStreamSync(context.Background())
	if err != nil {
		return err
	}
	go func() {
		_, err := stream.Write(frame)
		if err == nil {
			err = stream.Close()
		}
		if err != nil {
			select {
			case s.errs <- err:
			default:
			}
		}
		<-s.room
	}()
	return nil
}

// The stream without a byte, behind everything else.
func (s *sender) goodbye() error {
	for i := 0; i < cap(s.room); i++ {
		s.room <- struct{}{}
	}
	select {
	case err := <-s.errs:
		return err
	default:
	}
	stream, err := s.conn.OpenUniStreamSync(context.Background())
	if err != nil {
		return err
	}
	return stream.Close()
}

// The next frame, in order; without a byte: the good-bye.
func receive(conn quic.Connection) ([]byte, error) {
	stream, err := conn.AcceptUniStream(context.Background())
	if err != nil {
		return nil, err
	}
	frame, err := io.ReadAll(io.LimitReader(stream, frameOf+1))
	if err == nil && len(frame) > frameOf {
		err = errors.New("a stream has no end")
	}
	return frame, err
}

func closedWithZero(err error) bool {
	var why *quic.ApplicationError
	return errors.As(err, &why) && why.Remote && why.ErrorCode == 0
}

func client(address string) error {
	pem, err := os.ReadFile(*caFile)
	if err != nil {
		return err
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(pem) {
		return errors.New("no authority in " + *caFile)
	}
	watch := &tracer{}
	config := &quic.Config{Tracer: watch, Versions: []quic.VersionNumber{quic.Version1}}
	if *newest {
		config.Versions = []quic.VersionNumber{quic.Version2, quic.Version1}
	}
	conn, err := quic.DialAddr(address,
		&tls.Config{RootCAs: trusted, ServerName: *name, NextProtos: []string{*alpn}}, config)
	if err != nil {
		return err
	}
	total := count + *extra
	sent := make(chan error, 1)
	out := newSender(conn)
	go func() {
		for number := 0; number < total; number++ {
			if err := out.send(request(number, sizeOf(number))); err != nil {
				sent <- err
				return
			}
		}
		sent <- out.send(ping())
	}()
	size := 0
	for number := 0; number < total; number++ {
		echo, err := receive(conn)
		if err != nil {
			return fmt.Errorf("echo %d: %w", number, err)
		}
		if !isWhole(echo) || !bytes.Equal(echo, request(number, sizeOf(number))) {
			return fmt.Errorf("echo %d is not what was sent", number)
		}
		size += len(echo)
	}
	pong, err := receive(conn)
	if err != nil {
		return fmt.Errorf("the server's count: %w", err)
	}
	if messages, bytes, ok := totals(pong); !ok || messages != uint64(total) || bytes != uint64(size) {
		return fmt.Errorf("the server counted %d messages, %d bytes", messages, bytes)
	}
	if err := <-sent; err != nil {
		return err
	}
	// It answers our good-bye with its own once it has everything: then nothing of ours is on its way. It may also have
	// closed before we get to read that.
	if err := out.goodbye(); err != nil {
		return err
	}
	farewell, err := receive(conn)
	if len(farewell) != 0 || (err != nil && !closedWithZero(err)) {
		return fmt.Errorf("in the place of a good-bye: %d bytes, %v", len(farewell), err)
	}
	if err := conn.CloseWithError(0, ""); err != nil {
		return err
	}
	fmt.Printf("%d echoes, %d bytes, sums verified\n", total, size)
	fmt.Printf("%d retries, %d versions refused, %d key updates\n",
		watch.seen.retries, watch.seen.refusedVersions, watch.seen.keyUpdates)
	return nil
}

func server() error {
	identity, err := tls.LoadX509KeyPair(*certFile, *keyFile)
	if err != nil {
		return err
	}
	listener, err := quic.ListenAddr("127.0.0.1:0",
		&tls.Config{Certificates: []tls.Certificate{identity}, NextProtos: []string{*alpn}},
		&quic.Config{RequireAddressValidation: func(net.Addr) bool { return *retry }})
	if err != nil {
		return err
	}
	fmt.Println("port", listener.Addr().(*net.UDPAddr).Port)
	conn, err := listener.Accept(context.Background()) // whose handshake is done: others cost only themselves
	if err != nil {
		return err
	}
	messages, size, damaged := 0, 0, 0
	out := newSender(conn)
	for {
		frame, err := receive(conn)
		if err != nil {
			return fmt.Errorf("after %d messages: %w", messages, err)
		}
		if len(frame) == 0 {
			break
		}
		if !isWhole(frame) {
			damaged++
		}
		messages++
		size += len(frame)
		if err := out.send(frame); err != nil {
			return fmt.Errorf("echo %d: %w", messages, err)
		}
	}
	if err := out.goodbye(); err != nil {
		return err
	}
	// The client has it all when it closes; we, who cannot see what is acknowledged, wait for that.
	if rest, err := receive(conn); !closedWithZero(err) {
		return fmt.Errorf("in the place of a close with code 0: %d bytes, %v", len(rest), err)
	}
	fmt.Printf("%d messages, %d bytes, %d damaged, closed with 0\n", messages, size, damaged)
	return nil
}

func main() {
	flag.Parse()
	time.AfterFunc(patient, func() { fail(errors.New("it takes too long")) })
	var err error
	switch {
	case flag.NArg() == 2 && flag.Arg(0) == "client":
		err = client(flag.Arg(1))
	case flag.NArg() == 1 && flag.Arg(0) == "server":
		err = server()
	default:
		err = errors.New("usage: quic_peer [options] client ADDRESS | server")
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "quic_peer:", err)
	os.Exit(1)
}
