package robustness

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	requestTimeout = 5 * time.Second
	listTimeout    = 30 * time.Second // of a list of everything, whose size depends on --events
	maxBody        = 64 << 20         // bytes
)

var errBodyTooLong = errors.New("response body too long")

// response is a complete HTTP response.
type response struct {
	status int
	header http.Header
	body   []byte
}

// request sends a request and reads the whole response. After an error it is unknown whether the request took effect.
func (s *system) request(ctx context.Context, method, address, path, body string) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return s.send(ctx, method, address, path, body)
}

func (s *system) send(ctx context.Context, method, address, path, body string) (r response, err error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		return r, err
	}
	got, err := s.http.Do(request)
	if err != nil {
		return r, err
	}
	defer got.Body.Close()
	r.status, r.header = got.StatusCode, got.Header
	r.body, err = io.ReadAll(io.LimitReader(got.Body, maxBody+1))
	if len(r.body) > maxBody {
		err = errBodyTooLong
	}
	return r, err
}

func (s *system) get(ctx context.Context, address, path string) (response, error) {
	return s.request(ctx, http.MethodGet, address, path, "")
}

func (s *system) getList(ctx context.Context, address, path string) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	return s.send(ctx, http.MethodGet, address, path, "")
}
