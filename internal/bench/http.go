package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/blox/blox/internal/backoff"
)

// request sends a request and decodes the JSON of the response into a value, unless that is nil. Any status but 200
// is an error.
func request(ctx context.Context, method, url, body string, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	status, text, err := send(http.DefaultClient, r)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s %s: %d: %s", method, url, status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// send sends a request and reads the whole response.
func send(client *http.Client, r *http.Request) (status int, body []byte, err error) {
	response, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// metrics returns the service's metrics: values by name and labels, as /metrics writes them.
func (s *service) metrics(ctx context.Context) (map[string]float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	_, text, err := send(http.DefaultClient, r)
	if err != nil {
		return nil, err
	}
	values := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		space := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || space < 0 {
			continue
		}
		if values[line[:space]], err = strconv.ParseFloat(line[space+1:], 64); err != nil {
			return nil, fmt.Errorf("metric %q: %w", line, err)
		}
	}
	return values, nil
}

// poll calls done until it returns true or an error. It fails after the timeout, or when ctx ends.
func poll(ctx context.Context, timeout, interval time.Duration, what string, done func() (bool, error)) error {
	for deadline := time.Now().Add(timeout); ; {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("timed out after %s waiting for %s", timeout, what)
		}
		if !backoff.Sleep(ctx, interval) {
			return ctx.Err()
		}
	}
}
