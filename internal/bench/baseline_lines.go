package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/harness"
)

const (
	linesRole = "lines"
	// linesInterval is the time between two writes to a connection. A write costs much more than its bytes: half as
	// long intervals would cost almost twice the CPU time.
	linesInterval = 20 * time.Millisecond
)

// startLinesBaseline starts a server that only writes stream lines: the same number of bytes as the service at
// highRate, and one write for each linesInterval and connection. It neither receives, stores nor follows events. The
// caller stops it.
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

// send writes the lines of highRate to all clients until ctx ends, once in each linesInterval. A late write contains no
// more lines than others.
func (l *lineClients) send(ctx context.Context, size int) {
	batches := int(linesInterval / highRate.interval)
	due := time.Now() // of the next batch of lines
	for backoff.Sleep(ctx, time.Until(due.Add(linesInterval-highRate.interval))) {
		var lines []byte
		for range batches {
			line := fmt.Sprintf(`{"startedBy":"%s"`, timestampOf(due))
			line = fmt.Sprintf("%s%*s\n", line, size-len(line)-1, "}")
			lines = append(lines, strings.Repeat(line, highRate.batch)...)
			due = due.Add(highRate.interval)
		}
		l.write(fmt.Appendf(nil, "%x\r\n%s\r\n", len(lines), lines))
	}
}

// write writes a chunk to all clients.
func (l *lineClients) write(chunk []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	halves := [][]net.Conn{l.open[:len(l.open)/2], l.open[len(l.open)/2:]} // one for each CPU
	alive := make([][]net.Conn, len(halves))
	var writers sync.WaitGroup
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
	l.open = slices.Concat(alive...)
}
