package robustness

import (
	"io"
	"net"
	"sync"
	"time"
)

// link is the way from one process to another: a TCP proxy that can be cut, delayed, or hold back what it is given.
type link struct {
	to       string // host:port
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex
	down    bool
	delay   time.Duration
	holding chan struct{} // closed when what is held goes on; nil while nothing is held
	held    int           // bytes
	open    map[net.Conn]bool
}

func newLink(to string) (*link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &link{to: to, listener: listener, open: map[net.Conn]bool{}}
	l.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			l.running.Go(func() { l.connect(client) })
		}
	})
	return l, nil
}

// address is where the link listens.
func (l *link) address() string { return l.listener.Addr().String() }

// close ends the link and all that goes over it.
func (l *link) close() {
	l.listener.Close()
	l.cut(true)
	l.running.Wait()
}

// connect carries one connection until both of its sides have ended.
func (l *link) connect(client net.Conn) {
	defer client.Close()
	if !l.keep(client) {
		return
	}
	defer l.drop(client)
	server, err := net.DialTimeout("tcp", l.to, 5*time.Second)
	if err != nil {
		return
	}
	defer server.Close()
	if !l.keep(server) {
		return
	}
	defer l.drop(server)
	var both sync.WaitGroup
	both.Go(func() { l.carry(server, client) })
	both.Go(func() { l.carry(client, server) })
	both.Wait()
}

func (l *link) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.down {
		l.open[c] = true
	}
	return !l.down
}

func (l *link) drop(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

// carry brings what comes from one side to the other, late or not at all.
func (l *link) carry(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			l.wait(n)
			if _, err := to.Write(buffer[:n]); err != nil {
				from.Close() // it has nobody to talk to
				return
			}
		}
		if err == io.EOF {
			_ = to.(*net.TCPConn).CloseWrite()
			return
		}
		if err != nil {
			to.Close()
			return
		}
	}
}

// wait returns when so many bytes may go on.
func (l *link) wait(n int) {
	l.mu.Lock()
	delay, holding := l.delay, l.holding
	if holding != nil {
		l.held += n
	}
	l.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay)
	}
	if holding != nil {
		<-holding
	}
}

// cut ends what is connected and, for as long as it is down, whatever comes. What was held is lost.
func (l *link) cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	for c := range l.open {
		c.Close()
	}
	l.letGo()
}

// hold keeps back all that is sent from now on, while connections stay and can be made.
func (l *link) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holding == nil {
		l.holding, l.held = make(chan struct{}), 0
	}
}

// deliver lets go on what was held; cut loses it.
func (l *link) deliver() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.letGo()
}

func (l *link) letGo() {
	if l.holding != nil {
		close(l.holding)
		l.holding = nil
	}
}

// holds is how many bytes are held back.
func (l *link) holds() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// slow has every piece wait that long, in both directions; 0 for not at all.
func (l *link) slow(delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = delay
}
