// Package testenv is what the tests of Blox stand on: a real etcd, waiting for conditions, golden files and a log.
package testenv

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/tlsconfig"
)

// patience is how long a test waits for what must come about: long, as only a failing test waits to its end.
const patience = 30 * time.Second

// Etcd is a client of a fresh etcd. Both end with the test.
func Etcd(tb testing.TB) *clientv3.Client {
	tb.Helper()
	return EtcdServer(tb).Client()
}

// Server is an etcd that a test may stop, and start again with the same data at the same address.
type Server struct {
	tb      testing.TB
	dir     string
	options embedded.Options

	mu      sync.Mutex
	running *embedded.Embedded // nil while stopped
}

// EtcdServer is a fresh etcd, running, which ends with the test. Options may set a quota; the address is chosen here.
func EtcdServer(tb testing.TB, options ...embedded.Options) *Server {
	tb.Helper()
	s := &Server{tb: tb, dir: tb.TempDir()}
	if len(options) > 0 {
		s.options = options[0]
	}
	if s.options.Address == "" {
		s.options.Address = Address(tb)
	}
	s.options.UnsafeNoFsync = true
	s.Start()
	tb.Cleanup(s.Stop)
	return s
}

// EtcdServerAt is a fresh etcd at the address of one that was stopped.
func EtcdServerAt(tb testing.TB, address string) *Server {
	tb.Helper()
	return EtcdServer(tb, embedded.Options{Address: address})
}

// Start brings a stopped etcd back with its data and at its address; on a running one it does nothing.
func (s *Server) Start() {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	running, err := embedded.Start(ctx, s.dir, s.options)
	require.NoError(s.tb, err)
	s.running, s.options.Address = running, running.Address()
}

// Stop ends the etcd and waits for its end; on a stopped one it does nothing.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		s.running.Close()
		s.running = nil
	}
}

// Endpoints is what --etcd-endpoint takes; it stays the same over Stop and Start.
func (s *Server) Endpoints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.options.TLS != (tlsconfig.Files{}) {
		return []string{"https://" + s.options.Address}
	}
	return []string{s.options.Address}
}

// Client is a new client of this etcd, which is closed with the test.
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
