package testenv

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Proxy is a way to a TCP server that a test may cut.
type Proxy struct {
	to       string
	listener net.Listener
	running  sync.WaitGroup

	mu   sync.Mutex
	down bool
	open []net.Conn
}

// NewProxy leads to host:port until the test ends; nobody needs to listen there yet.
func NewProxy(tb testing.TB, to string) *Proxy {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	p := &Proxy{to: to, listener: listener}
	p.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.connect(client)
		}
	})
	tb.Cleanup(func() { listener.Close(); p.Cut(true); p.running.Wait() })
	return p
}

// Address is where the proxy listens.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

func (p *Proxy) connect(client net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		client.Close()
		return
	}
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		client.Close()
		return
	}
	p.open = append(p.open, client, server)
	p.running.Go(func() { _, _ = io.Copy(client, server); client.Close() })
	p.running.Go(func() { _, _ = io.Copy(server, client); server.Close() })
}

// Cut ends what is connected and, for as long as it is down, whatever comes.
func (p *Proxy) Cut(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	for _, c := range p.open {
		c.Close()
	}
	p.open = nil
}
