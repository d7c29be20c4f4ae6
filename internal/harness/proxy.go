package harness

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const dialTimeout = 5 * time.Second

// Proxy is a TCP proxy between two processes that can be disconnected, slowed down, or hold back the data it receives.
type Proxy struct {
	target   string // host:port
	listener net.Listener
	running  sync.WaitGroup

	mu           sync.Mutex
	disconnected bool
	delay        time.Duration
	release      chan struct{} // closed when held data may continue; nil while nothing is held
	held         int           // bytes held back since the latest hold
	connections  map[net.Conn]bool
}

// NewProxy starts a proxy to the target, host:port. Nothing needs to listen there yet. The caller closes the proxy.
func NewProxy(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, listener: listener, connections: map[net.Conn]bool{}}
	p.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.connect(client) })
		}
	})
	return p, nil
}

// Address returns where the proxy listens.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Close ends the proxy and all of its connections.
func (p *Proxy) Close() {
	p.listener.Close()
	p.SetDisconnected(true)
	p.running.Wait()
}

// connect serves one connection until both sides have ended.
func (p *Proxy) connect(client net.Conn) {
	defer client.Close()
	if !p.track(client) {
		return
	}
	defer p.untrack(client)
	server, err := net.DialTimeout("tcp", p.target, dialTimeout)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.track(server) {
		return
	}
	defer p.untrack(server)
	var both sync.WaitGroup
	both.Go(func() { p.forward(server, client) })
	both.Go(func() { p.forward(client, server) })
	both.Wait()
}

// track adds a connection. It returns false while the proxy is disconnected.
func (p *Proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.disconnected {
		p.connections[c] = true
	}
	return !p.disconnected
}

func (p *Proxy) untrack(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.connections, c)
}

// forward copies data from one side to the other until either ends.
func (p *Proxy) forward(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			p.wait(n)
			if _, err := to.Write(buffer[:n]); err != nil {
				from.Close()
				return
			}
		}
		if errors.Is(err, io.EOF) {
			_ = to.(*net.TCPConn).CloseWrite()
			return
		}
		if err != nil {
			to.Close()
			return
		}
	}
}

// wait returns when n bytes may continue.
func (p *Proxy) wait(n int) {
	p.mu.Lock()
	delay, release := p.delay, p.release
	if release != nil {
		p.held += n
	}
	p.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay)
	}
	if release != nil {
		<-release
	}
}

// SetDisconnected closes every connection, which loses held data, and refuses new ones while disconnected is true.
func (p *Proxy) SetDisconnected(disconnected bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.disconnected = disconnected
	for c := range p.connections {
		c.Close()
	}
	p.releaseLocked()
}

// Hold holds back all data from now on. Connections stay open, and new ones can be made.
func (p *Proxy) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.release == nil {
		p.release = make(chan struct{})
		p.held = 0
	}
}

// Deliver lets held data continue.
func (p *Proxy) Deliver() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.releaseLocked()
}

func (p *Proxy) releaseLocked() {
	if p.release != nil {
		close(p.release)
		p.release = nil
	}
}

// HeldBytes returns the number of bytes held back since the latest hold.
func (p *Proxy) HeldBytes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// SetDelay delays every piece of data, in both directions.
func (p *Proxy) SetDelay(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}
