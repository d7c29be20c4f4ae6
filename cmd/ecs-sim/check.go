package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// patience is how long a simulator may take to say that it is alive.
const patience = 5 * time.Second

// check is nil when the simulator that was told to serve on bind does so. Containers without a shell ask it of themselves.
func check(ctx context.Context, bind string) error {
	host, port, err := net.SplitHostPort(bind)
	if err != nil {
		return fmt.Errorf("--bind %q: not host:port", bind)
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/_sim/ping", nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", bind, err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", bind, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s: %s", bind, answer.Status)
	}
	return nil
}
