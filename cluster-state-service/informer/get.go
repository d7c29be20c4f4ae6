package informer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/blox/blox/internal/version"
)

// errTimeout ends a connection without data for readTimeout.
var errTimeout = errors.New("no data from the cluster-state-service in time")

// statusError is a response other than 200.
type statusError struct {
	status     int
	text       string
	retryAfter time.Duration // 0 without the header
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.text) }

// get requests url and returns the response body, which the caller closes. It fails with errTimeout without data for
// readTimeout, and so does reading the body.
func (m *Informer) get(ctx context.Context, url string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	b := &body{cancel: cancel, ctx: ctx, timeout: m.readTimeout}
	b.timer = time.AfterFunc(m.readTimeout, func() { cancel(errTimeout) })
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		b.stop()
		return nil, err
	}
	request.Header.Set("User-Agent", version.UserAgent())
	m.token.Authorize(request)
	response, err := m.client.Do(request) //nolint:bodyclose // the returned body closes it
	if err != nil {
		err = b.cause(err)
		b.stop()
		return nil, err
	}
	b.ReadCloser = response.Body
	if response.StatusCode != http.StatusOK {
		defer b.Close()
		text, _ := io.ReadAll(io.LimitReader(b, 1000)) // as much as could be read
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return nil, &statusError{response.StatusCode, strings.TrimSpace(string(text)), time.Duration(seconds) * time.Second}
	}
	m.setReconciledAt(response.Header.Get("Blox-Reconciled-At"))
	return b, nil
}

// body is a response body with a timeout between reads.
type body struct {
	io.ReadCloser
	ctx     context.Context
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	timeout time.Duration
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, b.cause(err)
	}
	b.timer.Reset(b.timeout)
	return n, err
}

func (b *body) Close() error {
	b.stop()
	return b.ReadCloser.Close()
}

func (b *body) stop() {
	b.timer.Stop()
	b.cancel(nil)
}

// cause returns errTimeout if that ended the request, else err.
func (b *body) cause(err error) error {
	if errors.Is(context.Cause(b.ctx), errTimeout) {
		return errTimeout
	}
	return err
}
