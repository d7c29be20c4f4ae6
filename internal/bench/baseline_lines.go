package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/harness"
)

const linesRole = "lines"

// startLinesBaseline starts a server that only writes stream lines: the same number of bytes as the service at
// highRate, one write for each batch and connection. It neither receives, stores nor follows events. The caller stops
// it.
func (s *system) startLinesBaseline(ctx context.Context, css *service) (*service, error) {
	_, _, body, err := fetch(ctx, css.url+"/v1/tasks?limit=1", nil)
	if err != nil {
		return nil, err
	}
	address, err := harness.FreeAddress()
	if err != nil {
		return nil, err
	}
	s.launched++
	server, err := s.start(harness.Config{
		Name: linesRole + "-" + strconv.Itoa(s.launched), Role: linesRole, Args: []string{address, strconv.Itoa(len(body))},
	})
	if err != nil {
		return nil, err
	}
	url := "http://" + address
	return &service{Process: server, url: url}, server.AwaitReady(ctx, url, startTimeout)
}

// serveLines listens on an address and sends lines of so many bytes to every client. The arguments are both.
func serveLines(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("want two arguments: host:port and bytes of a line")
	}
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	clients := &lineClients{}
	server := &http.Server{Handler: clients, ReadHeaderTimeout: startTimeout}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go clients.send(ctx, size)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// lineClients are the connections of the clients of /v1/stream/tasks.
type lineClients struct {
	mu   sync.Mutex
	open []net.Conn
}

func (l *lineClients) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" {
		return // 200, by which the parent process knows that the server is ready
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = append(l.open, conn)
}

// send writes a chunk of highRate's batch of lines to all clients in each interval, until ctx ends.
func (l *lineClients) send(ctx context.Context, size int) {
	next := time.Now()
	for backoff.Sleep(ctx, time.Until(next)) {
		next = next.Add(highRate.interval)
		line := fmt.Sprintf(`{"startedBy":"%s"`, timestamp())
		line = fmt.Sprintf("%s%*s\n", line, size-len(line)-1, "}")
		chunk := fmt.Appendf(nil, "%x\r\n", highRate.batch*len(line))
		for range highRate.batch {
			chunk = append(chunk, line...)
		}
		chunk = append(chunk, "\r\n"...)
		l.mu.Lock()
		var writers sync.WaitGroup
		open := l.open[:0]
		halves := [][]net.Conn{l.open[:len(l.open)/2], l.open[len(l.open)/2:]} // one for each CPU
		alive := make([][]net.Conn, len(halves))
		for n, half := range halves {
			writers.Go(func() {
				for _, conn := range half {
					if _, err := conn.Write(chunk); err == nil {
						alive[n] = append(alive[n], conn)
					} else {
						_ = conn.Close()
					}
				}
			})
		}
		writers.Wait()
		for _, half := range alive {
			open = append(open, half...)
		}
		l.open = open
		l.mu.Unlock()
	}
}
