package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blox/blox/internal/backoff"
)

const connectTimeout = 10 * time.Second

// badClient is a kind of client that misuses a service. The function run counts responses of the service, or
// connections that the service has closed.
type badClient struct {
	name, outcome string
	connections   int
	minDuration   time.Duration // long enough for the service's limits to take effect
	run           func(ctx context.Context, address string, count *atomic.Int64)
}

func badClients() []badClient {
	const short, long = 15 * time.Second, 45 * time.Second
	const post = "POST /v1/environments HTTP/1.1\r\nHost: a\r\n"
	header := "GET /v1/ping HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", mib) + "\r\n\r\n"
	body := post + "Content-Length: 8388608\r\n\r\n" + strings.Repeat("x", 8*mib)
	chunks := post + "Transfer-Encoding: chunked\r\n\r\n" +
		strings.Repeat("10000\r\n"+strings.Repeat("x", 64<<10)+"\r\n", 128)
	return []badClient{
		{"invalid requests", "answered", 16, short, pipelineInvalid},
		{"headers of 1 MiB", "rejected", 8, short, flood(header)},
		{"bodies of 8 MiB", "rejected", 8, short, flood(body)},
		{"endless chunked bodies", "rejected", 8, short, flood(chunks)},
		{"deeply nested invalid bodies", "answered", 4, short, flood(nestedRequest())},
		{"slow headers", "disconnected", 2000, long, trickle("GET /v1/ping HTTP/1.1\r\nHost: a\r\nX: ")},
		{"slow bodies", "disconnected", 2000, long, trickle(post + "Content-Length: 100000\r\n\r\n")},
		{"silent connections", "disconnected", 2000, long, trickle("")},
		{"unread responses", "disconnected", 200, long, requestWithoutReading},
	}
}

// nestedRequest creates an environment from JSON of 730 KiB: thousands of nested objects, and an array of nulls in the
// innermost.
func nestedRequest() string {
	const depth = 4000
	body := strings.Repeat(`{"`+strings.Repeat("a", 95)+`":`, depth) +
		"[" + strings.Repeat("null,", 50_000) + "null]" + strings.Repeat("}", depth)
	return fmt.Sprintf("POST /v1/environments HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// reconnect connects, calls use, and starts again when use returns, until ctx ends. The end of ctx closes the
// connection.
func reconnect(ctx context.Context, address string, use func(net.Conn)) {
	dialer := &net.Dialer{Timeout: connectTimeout}
	for retry := backoff.New(time.Millisecond, 100*time.Millisecond); ctx.Err() == nil; {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			retry.Wait(ctx)
			continue
		}
		retry.Reset()
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		use(conn)
		stop()
		_ = conn.Close()
	}
}

// flood sends one request on each connection. It counts the responses of 4xx.
func flood(request string) func(context.Context, string, *atomic.Int64) {
	return func(ctx context.Context, address string, count *atomic.Int64) {
		reconnect(ctx, address, func(conn net.Conn) {
			var writing sync.WaitGroup
			writing.Go(func() { _, _ = io.WriteString(conn, request) })
			if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
				if response.StatusCode >= 400 && response.StatusCode < 500 {
					count.Add(1)
				}
				_ = response.Body.Close()
			}
			_ = conn.Close()
			writing.Wait()
		})
	}
}

// invalidRequests are requests that each service rejects in different places.
var invalidRequests = []string{
	"GET /v1/tasks?colour=red HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /v1/stream/tasks?entityVersion=x HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST /v1/environments HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{\"name\":7",
	"BREW /v1/environments/%2F HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /v1/environments?cluster=a!&nextToken=%00 HTTP/1.1\r\nHost: a\r\n\r\n",
}

// pipelineInvalid pipelines invalid requests. It counts the responses below 500.
func pipelineInvalid(ctx context.Context, address string, count *atomic.Int64) {
	const repetitions = 10
	requests := strings.Repeat(strings.Join(invalidRequests, ""), repetitions)
	reconnect(ctx, address, func(conn net.Conn) {
		for reader := bufio.NewReader(conn); ctx.Err() == nil; {
			if _, err := io.WriteString(conn, requests); err != nil {
				return
			}
			for range repetitions * len(invalidRequests) {
				status, err := readStatus(reader)
				if err != nil {
					return
				}
				if status < http.StatusInternalServerError {
					count.Add(1)
				}
			}
		}
	})
}

// readStatus reads a whole response and returns its status.
func readStatus(reader *bufio.Reader) (int, error) {
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // an error shows again in the next response
	return response.StatusCode, nil
}

// trickle sends the start of a request, then one byte per second; nothing if the start is "". It counts the connections
// that the service closes.
func trickle(start string) func(context.Context, string, *atomic.Int64) {
	return func(ctx context.Context, address string, count *atomic.Int64) {
		reconnect(ctx, address, func(conn net.Conn) {
			var writing sync.WaitGroup
			if start != "" {
				writing.Go(func() {
					_, err := io.WriteString(conn, start)
					for err == nil && backoff.Sleep(ctx, time.Second) {
						_, err = io.WriteString(conn, "x")
					}
				})
			}
			_, _ = io.Copy(io.Discard, conn) // until the service closes the connection
			if ctx.Err() == nil {
				count.Add(1)
			}
			_ = conn.Close()
			writing.Wait()
		})
	}
}

// requestWithoutReading pipelines requests with long responses and reads none of them. It counts the connections that
// the service closes.
func requestWithoutReading(ctx context.Context, address string, count *atomic.Int64) {
	requests := strings.Repeat("GET /v1/swagger.json HTTP/1.1\r\nHost: a\r\n\r\n", 100)
	reconnect(ctx, address, func(conn net.Conn) {
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		var err error
		for err == nil { // ends when the service has closed the connection, because its writes make no progress
			_, err = io.WriteString(conn, requests)
		}
		if ctx.Err() == nil {
			count.Add(1)
		}
	})
}
