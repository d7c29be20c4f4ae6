package main

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
)

// siege attacks both services in turn, each way for a fortieth of the time given, and long enough to meet their limits; a good
// client is there meanwhile. Afterwards all that the attackers held is free again.
func siege(ctx context.Context, cfg config, t *table) error {
	w, err := newWorld(ctx, cfg, "--instances", "3", "--task-definition", "agent")
	if err != nil {
		return err
	}
	defer w.close()
	s, err := w.scheduler()
	if err != nil {
		return err
	}
	defer s.close()
	path, _, _, err := s.deploy("good", "default")
	if err != nil {
		return err
	}
	if err := s.completed(path); err != nil {
		return err
	}
	if err := besiege(ctx, cfg, t, "load-siege-css", s.css, "/v1/clusters", has(`cluster/default`)); err != nil {
		return err
	}
	return besiege(ctx, cfg, t, "load-siege-ds", s.service, "/v1/environments/good", has(`"health":"healthy"`))
}

// attacks are what clients may do to a service, each by so many connections. One returns how many answers it got, or how many
// connections the service has cut.
var attacks = []struct {
	name, counts string
	connections  int
	least        time.Duration // it takes, so that what is slow meets the service's limits
	attack       func(ctx context.Context, address string, done *atomic.Int64)
}{
	{"bad requests", "answered", 16, 15 * time.Second, badRequests},
	{"headers of 1 MiB", "refused", 8, 15 * time.Second, func(ctx context.Context, address string, done *atomic.Int64) {
		flood(ctx, address, "GET /v1/ping HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", mib)+"\r\n\r\n", done)
	}},
	{"bodies of 8 MiB", "refused", 8, 15 * time.Second, func(ctx context.Context, address string, done *atomic.Int64) {
		flood(ctx, address, "POST /v1/environments HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n"+strings.Repeat("x", 8*mib), done)
	}},
	{"chunked bodies without end", "refused", 8, 15 * time.Second, func(ctx context.Context, address string, done *atomic.Int64) {
		flood(ctx, address, "POST /v1/environments HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat("10000\r\n"+strings.Repeat("x", 64<<10)+"\r\n", 128), done)
	}},
	{"bodies full of faults", "answered", 4, 15 * time.Second, func(ctx context.Context, address string, done *atomic.Int64) {
		body := strings.Repeat(`{"`+strings.Repeat("a", 95)+`":`, 4000) + "[" + strings.Repeat("null,", 50_000) + "null]" + strings.Repeat("}", 4000)
		flood(ctx, address, fmt.Sprintf("POST /v1/environments HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body), done)
	}},
	{"headers that trickle", "cut off", 2000, 45 * time.Second, func(ctx context.Context, address string, done *atomic.Int64) {
		trickle(ctx, address, "GET /v1/ping HTTP/1.1\r\nHost: a\r\nX: ", done)
	}},
	{"bodies that trickle", "cut off", 2000, 45 * time.Second, func(ctx context.Context, address string, done *atomic.Int64) {
		trickle(ctx, address, "POST /v1/environments HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", done)
	}},
	{"connections that say nothing", "cut off", 2000, 45 * time.Second, func(ctx context.Context, address string, done *atomic.Int64) { trickle(ctx, address, "", done) }},
	{"answers that nobody reads", "cut off", 200, 45 * time.Second, unread},
}

func besiege(ctx context.Context, cfg config, t *table, section string, s *service, path string, right func(int, []byte) error) error {
	peace := s.witness(path, right)
	select {
	case <-time.After(5 * time.Second):
	case <-ctx.Done():
	}
	if err := t.addWitness(section, "in peace", peace); err != nil {
		return err
	}
	before, err := s.vitals()
	if err != nil {
		return err
	}
	for _, a := range attacks {
		good := s.witness(path, right)
		attacking, end := context.WithTimeout(ctx, max(a.least, cfg.load/40))
		var done atomic.Int64
		var all sync.WaitGroup
		for range a.connections {
			all.Go(func() { a.attack(attacking, strings.TrimPrefix(s.url, "http://"), &done) })
		}
		most := vitals{}
		for attacking.Err() == nil {
			if v, err := s.vitals(); err == nil {
				most = vitals{max(most.memory, v.memory), max(most.goroutines, v.goroutines), max(most.files, v.files)}
			}
			select {
			case <-attacking.Done():
			case <-time.After(time.Second):
			}
		}
		end()
		all.Wait()
		if err := t.addWitness(section, a.name, good); err != nil {
			return err
		}
		t.add(row{section, a.name + ": " + a.counts, "", single(float64(done.Load())), nil})
		t.add(row{section, a.name + ": resident memory at most; before", "MiB", []pair{{most.memory / mib, before.memory / mib}}, nil})
		t.add(row{section, a.name + ": descriptors at most; before", "", []pair{{most.files, before.files}}, nil})
	}
	// What the attackers have held is free again.
	var after vitals
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if after, err = s.vitals(); err != nil {
			return err
		}
		if after.goroutines < before.goroutines+20 && after.files < before.files+20 {
			break
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("%s: %.0f goroutines and %.0f descriptors are left of the attacks, before them %.0f and %.0f", section,
				after.goroutines, after.files, before.goroutines, before.files)
		}
	}
	t.addVitals(section, "after all of it", before, after)
	return nil
}

// flood sends a request as often as it is answered, or the connection cut.
func flood(ctx context.Context, address, request string, done *atomic.Int64) {
	for ctx.Err() == nil {
		conn, err := net.DialTimeout("tcp", address, 10*time.Second)
		if err != nil {
			continue
		}
		end := context.AfterFunc(ctx, func() { _ = conn.Close() })
		var writing sync.WaitGroup
		writing.Go(func() { _, _ = io.WriteString(conn, request) })
		if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			if answer.StatusCode >= 400 && answer.StatusCode < 500 {
				done.Add(1)
			}
			_ = answer.Body.Close()
		}
		_ = conn.Close()
		writing.Wait()
		end()
	}
}

// badRequests keeps connections busy with requests that are refused.
func badRequests(ctx context.Context, address string, done *atomic.Int64) {
	var requests strings.Builder
	const n = 50
	for i := range n {
		switch i % 5 {
		case 0:
			requests.WriteString("GET /v1/tasks?colour=red HTTP/1.1\r\nHost: a\r\n\r\n")
		case 1:
			requests.WriteString("GET /v1/stream/tasks?entityVersion=x HTTP/1.1\r\nHost: a\r\n\r\n")
		case 2:
			requests.WriteString("POST /v1/environments HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{\"name\":7")
		case 3:
			requests.WriteString("BREW /v1/environments/%2F HTTP/1.1\r\nHost: a\r\n\r\n")
		case 4:
			requests.WriteString("GET /v1/environments?cluster=a!&nextToken=%00 HTTP/1.1\r\nHost: a\r\n\r\n")
		}
	}
	for ctx.Err() == nil {
		conn, err := net.DialTimeout("tcp", address, 10*time.Second)
		if err != nil {
			continue
		}
		end := context.AfterFunc(ctx, func() { _ = conn.Close() })
		for reader := bufio.NewReader(conn); ctx.Err() == nil && err == nil; {
			_, err = io.WriteString(conn, requests.String())
			for i := 0; i < n && err == nil; i++ {
				var answer *http.Response
				if answer, err = http.ReadResponse(reader, nil); err == nil {
					_, _ = io.Copy(io.Discard, answer.Body)
					if answer.StatusCode < 500 {
						done.Add(1)
					}
				}
			}
		}
		_ = conn.Close()
		end()
	}
}

// trickle begins a request and goes on with a byte a second, again whenever it is cut off.
func trickle(ctx context.Context, address, begin string, done *atomic.Int64) {
	for ctx.Err() == nil {
		conn, err := net.DialTimeout("tcp", address, 10*time.Second)
		if err != nil {
			continue
		}
		end := context.AfterFunc(ctx, func() { _ = conn.Close() })
		var writing sync.WaitGroup
		writing.Go(func() {
			_, err := io.WriteString(conn, begin)
			for ctx.Err() == nil && err == nil && begin != "" {
				time.Sleep(time.Second)
				_, err = io.WriteString(conn, "x")
			}
		})
		_, _ = io.Copy(io.Discard, conn) // until the service cuts it
		if ctx.Err() == nil {
			done.Add(1)
		}
		_ = conn.Close()
		writing.Wait()
		end()
	}
}

// unread asks for long answers, many at a time, and reads nothing.
func unread(ctx context.Context, address string, done *atomic.Int64) {
	for ctx.Err() == nil {
		conn, err := net.DialTimeout("tcp", address, 10*time.Second)
		if err != nil {
			continue
		}
		end := context.AfterFunc(ctx, func() { _ = conn.Close() })
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		for err == nil { // until the service cuts it, when it cannot write any more
			_, err = io.WriteString(conn, strings.Repeat("GET /v1/swagger.json HTTP/1.1\r\nHost: a\r\n\r\n", 100))
		}
		if ctx.Err() == nil {
			done.Add(1)
		}
		_ = conn.Close()
		end()
	}
}
