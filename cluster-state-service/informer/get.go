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

// errSilent ends a connection on which nothing has come for too long.
var errSilent = errors.New("the cluster-state-service is silent")

// refusal is an answer that is not 200.
type refusal struct {
	status     int
	text       string
	retryAfter time.Duration // 0 when the CSS has not said
}

func (r *refusal) Error() string { return fmt.Sprintf("answer %d: %s", r.status, r.text) }

// get asks for url and returns the answer's body, which the caller closes. It and reading the body fail with errSilent
// when nothing comes for m.silence.
func (m *Informer) get(ctx context.Context, url string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	b := &body{cancel: cancel, ctx: ctx, silence: m.silence}
	b.timer = time.AfterFunc(m.silence, func() { cancel(errSilent) })
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		b.stop()
		return nil, err
	}
	request.Header.Set("User-Agent", version.UserAgent())
	answer, err := m.client.Do(request)
	if err != nil {
		err = b.why(err)
		b.stop()
		return nil, err
	}
	b.ReadCloser = answer.Body
	if answer.StatusCode != http.StatusOK {
		defer b.Close()
		text, _ := io.ReadAll(io.LimitReader(b, 1000)) // what there is of it
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		return nil, &refusal{answer.StatusCode, strings.TrimSpace(string(text)), time.Duration(seconds) * time.Second}
	}
	m.compared(answer.Header.Get("Blox-Reconciled-At"))
	return b, nil
}

// body is an answer's body, which must keep coming.
type body struct {
	io.ReadCloser
	ctx     context.Context
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	silence time.Duration
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, b.why(err)
	}
	b.timer.Reset(b.silence)
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

// why is err, or errSilent if that is what has ended the request.
func (b *body) why(err error) error {
	if errors.Is(context.Cause(b.ctx), errSilent) {
		return errSilent
	}
	return err
}
