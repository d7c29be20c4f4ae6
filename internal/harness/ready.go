package harness

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/blox/blox/internal/backoff"
)

const (
	readyInterval = 5 * time.Millisecond // short, because benchmarks measure the time to readiness
	awaitInterval = 100 * time.Millisecond
	requestLimit  = 5 * time.Second
)

// AwaitReady returns nil when a GET of the URL returns 200. It returns an error, which includes the process's output,
// if the process ends first or the timeout expires.
func (p *Process) AwaitReady(ctx context.Context, url string, timeout time.Duration) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: requestLimit}
	done := p.Done()
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		err := get(limited, client, url)
		if err == nil {
			return nil
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%s not ready after %s: %w: %s", p.cfg.Name, timeout, err, p.Output())
		case <-done:
			return fmt.Errorf("%s ended before it was ready: %s", p.cfg.Name, p.Output())
		case <-time.After(readyInterval):
		}
	}
}

func get(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %d: %s", url, response.StatusCode, body)
	}
	return err
}

// Await calls check until it returns nil. After the timeout it returns check's last error.
func Await(ctx context.Context, timeout time.Duration, what string, check func() error) error {
	for deadline := time.Now().Add(timeout); ; {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("timed out after %s waiting for %s: %w", timeout, what, err)
		}
		if !backoff.Sleep(ctx, awaitInterval) {
			return ctx.Err()
		}
	}
}
