package robustness

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// callTimeout is how long a client waits for an answer.
const callTimeout = 5 * time.Second

var errLongAnswer = errors.New("the answer is too long")

// call sends a request and reads the whole answer; an error leaves open whether it was done.
func (w *world) call(ctx context.Context, method, address, path, body string) (status int, header http.Header, text []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	answer, err := w.http.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer answer.Body.Close()
	const most = 64 << 20
	text, err = io.ReadAll(io.LimitReader(answer.Body, most+1))
	if len(text) > most {
		err = errLongAnswer
	}
	return answer.StatusCode, answer.Header, text, err
}

func (w *world) get(ctx context.Context, address, path string) (status int, text []byte, err error) {
	status, _, text, err = w.call(ctx, http.MethodGet, address, path, "")
	return status, text, err
}
