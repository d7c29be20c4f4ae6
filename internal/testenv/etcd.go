// Package testenv provides what the tests of Blox need: a real etcd, waiting for conditions, golden files and a log.
package testenv

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/testenv/short"
	"github.com/blox/blox/internal/tlsconfig"
)

// timeout limits every wait of a test. It is long because only failing tests reach it. The variable TESTENV_TIMEOUT,
// a duration, shortens it for tests that are expected to fail.
var timeout = func() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("TESTENV_TIMEOUT")); err == nil {
		return d
	}
	return 3 * time.Minute
}()

// Etcd starts an etcd and returns a client. Both end with the test. With -short the test is skipped.
func Etcd(tb testing.TB) *clientv3.Client {
	tb.Helper()
	return EtcdServer(tb).Client()
}

// Server is an etcd that a test can stop and restart with the same data at the same address.
type Server struct {
	tb      testing.TB
	dir     string
	options embedded.Options
	program string // path of an etcd to run as a process; "" runs the embedded one

	mu      sync.Mutex
	running runningEtcd // nil while stopped
}

// runningEtcd is an embedded etcd or a process.
type runningEtcd interface {
	Address() string
	Client() (*clientv3.Client, error)
	Close()
}

// EtcdServer starts an etcd that ends with the test, or skips the test with -short. Without an address in the options,
// it chooses one.
func EtcdServer(tb testing.TB, options ...embedded.Options) *Server {
	tb.Helper()
	short.Skip(tb, "starts an etcd")
	s := &Server{tb: tb, dir: tb.TempDir()}
	if len(options) > 0 {
		s.options = options[0]
	}
	if s.options.Address == "" {
		s.options.Address = FreeAddress(tb)
	}
	s.options.UnsafeNoFsync = true
	s.Start()
	tb.Cleanup(s.Stop)
	return s
}

// EtcdServerAt starts an empty etcd at the address of a stopped one.
func EtcdServerAt(tb testing.TB, address string) *Server {
	tb.Helper()
	return EtcdServer(tb, embedded.Options{Address: address})
}

// Start restarts a stopped etcd with its data and address; it has no effect on a running one.
func (s *Server) Start() {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	running, err := s.start(ctx)
	require.NoError(s.tb, err)
	s.running, s.options.Address = running, running.Address()
}

func (s *Server) start(ctx context.Context) (runningEtcd, error) {
	if s.program == "" {
		return embedded.Start(ctx, s.dir, s.options)
	}
	return startEtcdProcess(ctx, s.program, s.dir, s.options.Address)
}

// Stop stops the etcd and waits for its end; it has no effect on a stopped one.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		s.running.Close()
		s.running = nil
	}
}

// Wipe removes the data of a stopped etcd, so that Start starts an empty one at the same address.
func (s *Server) Wipe() {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Nil(s.tb, s.running, "the etcd is running")
	s.dir = s.tb.TempDir()
}

// Endpoints returns the values of --etcd-endpoint; Stop and Start do not change them.
func (s *Server) Endpoints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.options.TLS != (tlsconfig.Files{}) {
		return []string{"https://" + s.options.Address}
	}
	return []string{s.options.Address}
}

// Client returns a new client, which is closed with the test.
func (s *Server) Client() *clientv3.Client {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.NotNil(s.tb, s.running, "the etcd is stopped")
	client, err := s.running.Client()
	require.NoError(s.tb, err)
	s.tb.Cleanup(func() { _ = client.Close() })
	return client
}
