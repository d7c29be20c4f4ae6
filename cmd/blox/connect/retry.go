package connect

import (
	"context"
	"errors"
	"io"
	"net/http"
	"syscall"
	"time"

	"github.com/go-openapi/runtime"

	"github.com/blox/blox/internal/backoff"
)

const (
	keyHeader = "Idempotency-Key"

	maxAttempts              = 4
	firstDelay, longestDelay = 100 * time.Millisecond, time.Second
)

// isKeyed reports whether the service executes a request with an Idempotency-Key once, however often it is sent.
func (t *transport) isKeyed(op *runtime.ClientOperation) bool {
	return t.service.name == schedulerName && (op.Method == http.MethodPost || op.Method == http.MethodPatch)
}

// submit sends a request. It repeats a keyed one whose response was lost.
func (t *transport) submit(ctx context.Context, op *runtime.ClientOperation) (any, error) {
	for attempt := 1; ; attempt++ {
		result, err := t.inner.SubmitContext(ctx, op)
		if err == nil || attempt == maxAttempts || !t.isKeyed(op) || !isResponseLost(err) {
			return result, err
		}
		select {
		case <-ctx.Done():
			return result, err
		case <-time.After(backoff.Jitter(backoff.Delay(firstDelay, longestDelay, attempt))):
		}
	}
}

// isResponseLost reports whether the service may have executed the request although its response did not arrive: the
// connection broke, or a proxy lost the service.
func isResponseLost(err error) bool {
	return IsStatus(err, http.StatusBadGateway) || IsStatus(err, http.StatusGatewayTimeout) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}
