package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// connection repeats one request with little CPU time of its own, because it shares the CPUs with the service.
type connection struct {
	net.Conn
	reader  *bufio.Reader
	request []byte
}

// dial connects to the host of a URL, which is the one to request, with header lines such as "If-None-Match: *".
func dial(ctx context.Context, address string, header ...string) (*connection, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n", u.RequestURI(), u.Host)
	for _, line := range header {
		request = append(request, line+"\r\n"...)
	}
	return &connection{conn, bufio.NewReaderSize(conn, 64<<10), append(request, "\r\n"...)}, nil
}

// readHead sends the request and reads the head of the response, 200 or 304. It returns the length of the body, 0 if
// unknown.
func (c *connection) readHead() (length int, notModified bool, err error) {
	if _, err := c.Write(c.request); err != nil {
		return 0, false, err
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	notModified = bytes.HasPrefix(line, []byte("HTTP/1.1 304 "))
	if !notModified && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return 0, false, fmt.Errorf("response %q", line)
	}
	for {
		if line, err = c.reader.ReadSlice('\n'); err != nil {
			return 0, false, err
		}
		if len(line) == 2 {
			return length, notModified, nil
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, false, err
			}
		}
	}
}

// get sends the request and reads the whole response.
func (c *connection) get() error {
	length, notModified, err := c.readHead()
	if err != nil || notModified {
		return err
	}
	if length == 0 {
		return errors.New("response without Content-Length")
	}
	_, err = c.reader.Discard(length)
	return err
}

// getFor repeats the request for the duration and returns the time that each response took.
func (c *connection) getFor(ctx context.Context, duration time.Duration) (latencies []time.Duration, err error) {
	start := time.Now()
	for sent := start; err == nil && ctx.Err() == nil && sent.Sub(start) < duration; {
		err = c.get()
		now := time.Now()
		latencies = append(latencies, now.Sub(sent))
		sent = now
	}
	return latencies, err
}

// generateLoad requests a URL over several connections for the duration. It returns the latency of each response, and
// the responses per second.
func generateLoad(
	ctx context.Context, url string, connections int, duration time.Duration, header ...string,
) (latencies []time.Duration, rate float64, err error) {
	var mu sync.Mutex
	var clients sync.WaitGroup
	open := make([]*connection, connections)
	for i := range open {
		if open[i], err = dial(ctx, url, header...); err != nil {
			return nil, 0, err
		}
		defer open[i].Close()
	}
	start := time.Now()
	for _, c := range open {
		clients.Go(func() {
			own, failed := c.getFor(ctx, duration)
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, own...)
			err = errors.Join(err, failed)
		})
	}
	clients.Wait()
	return latencies, float64(len(latencies)) / time.Since(start).Seconds(), err
}
