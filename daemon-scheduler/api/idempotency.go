package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/httpserver"
)

const (
	keyHeader    = "Idempotency-Key"
	replayHeader = "Idempotent-Replayed"
	maxKeyLength = 255
)

var (
	errInvalidKey      = errors.New("the Idempotency-Key must be one value of 1 to 255 printable ASCII characters")
	errKeyReused       = errors.New("the Idempotency-Key belongs to another request")
	errResponseDropped = errors.New("the response was too large to store")
)

// keyedRequest is a request with an Idempotency-Key.
type keyedRequest struct {
	key, fingerprint string
	body             []byte // of the response that is stored with the change; nil until the request changes something
}

type keyedRequestKey struct{}

// keyedRequestOf returns the request that the context belongs to; nil if it has no Idempotency-Key.
func keyedRequestOf(ctx context.Context) *keyedRequest {
	request, _ := ctx.Value(keyedRequestKey{}).(*keyedRequest)
	return request
}

// serveOnce serves a request with an Idempotency-Key only if none with the key has been executed yet: else it repeats
// the response to that one. The change and its response are stored in one transaction. So of concurrent requests one is
// executed, and one whose response was lost is not executed again. Requests that change nothing store no response.
func (h *handler) serveOnce(
	w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request) error,
) error {
	request, err := readKeyedRequest(r)
	if err != nil {
		return err
	}
	if request == nil {
		return serve(w, r)
	}
	if replayed, err := h.replay(w, r, request); replayed || err != nil {
		return err
	}
	err = serve(w, r.WithContext(context.WithValue(r.Context(), keyedRequestKey{}, request)))
	if err == nil {
		return nil
	}
	// The request may have failed only because a concurrent one with the key has changed the environment.
	if replayed, replayErr := h.replay(w, r, request); replayed || errors.Is(replayErr, errKeyReused) {
		return replayErr
	}
	return err
}

// readKeyedRequest returns nil for a request without an Idempotency-Key. It reads the body, and replaces it by a copy.
func readKeyedRequest(r *http.Request) (*keyedRequest, error) {
	keys := r.Header.Values(keyHeader)
	if len(keys) == 0 {
		return nil, nil
	}
	if len(keys) > 1 || !isKey(keys[0]) {
		return nil, errInvalidKey
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return &keyedRequest{key: keys[0], fingerprint: fingerprint(r, body)}, nil
}

func isKey(key string) bool {
	if key == "" || len(key) > maxKeyLength {
		return false
	}
	for _, c := range []byte(key) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// fingerprint identifies who asks for what. The client's address does not count, as a repeated request may come from
// another one.
func fingerprint(r *http.Request, body []byte) string {
	hash := sha256.New()
	parts := []string{
		httpserver.AuthenticatedClient(r), r.Method, r.URL.Path, r.URL.Query().Encode(), string(body),
	}
	for _, part := range parts {
		fmt.Fprintf(hash, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// replay repeats the response to an executed request with the key, and reports whether there is one.
func (h *handler) replay(w http.ResponseWriter, r *http.Request, request *keyedRequest) (bool, error) {
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	stored, found, err := h.Store.Response(ctx, request.key)
	switch {
	case err != nil || !found:
		return false, err
	case stored.Fingerprint != request.fingerprint:
		return false, errKeyReused
	case stored.Body == nil:
		return false, errResponseDropped
	}
	httpserver.RequestLog(h.Log, r).WithField("path", r.URL.Path).Info("response repeated")
	w.Header().Set(replayHeader, "true")
	httpserver.WriteJSON(w, stored.Status, stored.Body)
	return true, nil
}

// renderer returns the body of the response to a request that left the environment like this.
type renderer func(context.Context, environment.Environment) (any, error)

// renderEnvironment is the renderer of the environment itself.
func (h *handler) renderEnvironment(_ context.Context, e environment.Environment) (any, error) {
	return h.showEnvironment(e), nil
}

// stored returns what the store needs to store the response to the context's request; nil if it has no key, or if
// render is nil.
func (h *handler) stored(ctx context.Context, render renderer) *store.KeyedRequest {
	request := keyedRequestOf(ctx)
	if request == nil || render == nil {
		return nil
	}
	return &store.KeyedRequest{
		Key: request.key, Fingerprint: request.fingerprint,
		Respond: func(ctx context.Context, e environment.Environment) (int, []byte, error) {
			body, err := render(ctx, e)
			if err != nil {
				return 0, nil, err
			}
			request.body = httpserver.EncodeJSON(body)
			return http.StatusOK, request.body, nil
		},
	}
}

// respond responds to a request that left the environment like this: with the response that is stored, if one is.
func (h *handler) respond(w http.ResponseWriter, r *http.Request, e environment.Environment, render renderer) error {
	if request := keyedRequestOf(r.Context()); request != nil && request.body != nil {
		httpserver.WriteJSON(w, http.StatusOK, request.body)
		return nil
	}
	ctx, cancel := withStoreTimeout(r)
	defer cancel()
	body, err := render(ctx, e)
	if err != nil {
		return err
	}
	httpserver.JSON(w, http.StatusOK, body)
	return nil
}
