package main

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

// connection asks one thing again and again, as cheaply as can be: it shares the CPUs with what it measures.
type connection struct {
	net.Conn
	reader  *bufio.Reader
	request []byte
}

func dial(address string) (*connection, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		return nil, err
	}
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.RequestURI(), u.Host)
	return &connection{conn, bufio.NewReaderSize(conn, 64<<10), request}, nil
}

// ask sends the request and reads the head of the answer.
func (c *connection) ask() (length int, err error) {
	if _, err := c.Write(c.request); err != nil {
		return 0, err
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("answer %q", line)
	}
	for {
		if line, err = c.reader.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if len(line) == 2 {
			return length, nil
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
}

// get asks and reads the whole answer.
func (c *connection) get() error {
	length, err := c.ask()
	if err != nil {
		return err
	}
	if length == 0 {
		return errors.New("an answer without a length")
	}
	_, err = c.reader.Discard(length)
	return err
}

// load asks for url over so many connections for the time given, and returns what each answer took.
func load(ctx context.Context, url string, connections int, most time.Duration) (took []time.Duration, perSecond float64, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	open := make([]*connection, connections)
	for i := range open {
		if open[i], err = dial(url); err != nil {
			return nil, 0, err
		}
		defer open[i].Close()
	}
	began := time.Now()
	for _, c := range open {
		all.Go(func() {
			var mine []time.Duration
			var failed error
			for at := time.Now(); failed == nil && ctx.Err() == nil && at.Sub(began) < most; {
				failed = c.get()
				now := time.Now()
				mine, at = append(mine, now.Sub(at)), now
			}
			mu.Lock()
			defer mu.Unlock()
			took, err = append(took, mine...), errors.Join(err, failed)
		})
	}
	all.Wait()
	return took, float64(len(took)) / time.Since(began).Seconds(), err
}
