package bench

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	probeInterval = 10 * time.Millisecond
	probeTimeout  = 30 * time.Second
)

// probeClient is a good client of a service under load. It repeats one request and checks each response.
type probeClient struct {
	latencies []time.Duration
	failure   error  // the first wrong response
	stop      func() // ends the client; the fields above may be read afterwards
}

// startProbeClient starts a client that expects 200 and a body with the text.
func (s *service) startProbeClient(ctx context.Context, path, text string) *probeClient {
	p := &probeClient{}
	ctx, cancel := context.WithCancel(ctx)
	client := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableCompression: true}}
	var requests sync.WaitGroup
	requests.Go(func() {
		ticker := time.NewTicker(probeInterval)
		defer ticker.Stop()
		for ; ctx.Err() == nil; <-ticker.C {
			start := time.Now()
			// The end of the client does not interrupt a request, which would count as a wrong response.
			err := expect(context.WithoutCancel(ctx), client, s.url+path, text)
			p.latencies = append(p.latencies, time.Since(start))
			if err != nil && p.failure == nil {
				p.failure = err
			}
		}
	})
	p.stop = sync.OnceFunc(func() {
		cancel()
		requests.Wait()
		client.CloseIdleConnections()
	})
	return p
}

// expect returns an error unless the URL returns 200 and a body with the text.
func expect(ctx context.Context, client *http.Client, url, text string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	status, body, err := send(client, r)
	if err != nil {
		return err
	}
	if status != http.StatusOK || !strings.Contains(string(body), text) {
		return fmt.Errorf("response %d: %.200s", status, body)
	}
	return nil
}

// addProbeClient ends the client and adds its latencies. A wrong response is an error.
func (t *table) addProbeClient(section, name string, p *probeClient) error {
	p.stop()
	if p.failure != nil {
		return fmt.Errorf("%s: the probe client failed: %w", name, p.failure)
	}
	p50, p99 := percentiles(p.latencies)
	t.add(section, fmt.Sprintf("%s: probe client's get, p50 of %d", name, len(p.latencies)), "ms", single(p50))
	t.add(section, name+": the same, p99", "ms", single(p99))
	return nil
}
