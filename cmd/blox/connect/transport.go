package connect

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/go-openapi/runtime"
	"github.com/go-openapi/strfmt"
	"github.com/google/uuid"

	"github.com/blox/blox/internal/version"
)

// ResponseError is an error response.
type ResponseError struct {
	Status int
	Text   string // the body, trimmed
}

func (r *ResponseError) Error() string { return r.Text }

// IsStatus reports whether err is an error response with that status.
func IsStatus(err error, status int) bool {
	var refused *ResponseError
	return errors.As(err, &refused) && refused.Status == status
}

// IsTokenUsed reports whether err means that a deployment already used the token.
func IsTokenUsed(err error) bool {
	var refused *ResponseError
	return errors.As(err, &refused) && refused.Status == http.StatusBadRequest &&
		strings.HasPrefix(refused.Text, "Deployment with token")
}

// IsChangedMeanwhile reports whether err means that the environment changed since the client read it: it has another
// deployment token, was deleted, or was created by another client.
func IsChangedMeanwhile(err error) bool {
	var refused *ResponseError
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Status {
	case http.StatusConflict:
		return strings.HasSuffix(refused.Text, " is outdated")
	case http.StatusNotFound:
		return strings.HasPrefix(refused.Text, "Environment ")
	case http.StatusBadRequest:
		return strings.Contains(refused.Text, "An environment with name ") &&
			strings.HasSuffix(refused.Text, " already exists")
	}
	return false
}

// maxErrorBytes limits how much of an error response is read.
const maxErrorBytes = 64 << 10

// transport runs the operations of a generated client with a timeout and returns every failure as a *CallError.
type transport struct {
	service service
	inner   runtime.ContextualTransport
}

// Submit implements runtime.ContextualTransport.
func (t *transport) Submit(op *runtime.ClientOperation) (any, error) {
	return t.SubmitContext(context.Background(), op)
}

// SubmitContext implements runtime.ContextualTransport.
func (t *transport) SubmitContext(ctx context.Context, op *runtime.ClientOperation) (any, error) {
	callerCtx := ctx
	if !isStream(op) {
		limited, cancel := context.WithTimeout(ctx, t.service.cfg.Timeout)
		defer cancel()
		ctx = limited
	}
	key := ""
	if t.isKeyed(op) {
		key = uuid.NewString()
	}
	params, reader := op.Params, op.Reader
	op.Params = runtime.ClientRequestWriterFunc(func(r runtime.ClientRequest, formats strfmt.Registry) error {
		if err := params.WriteToRequest(r, formats); err != nil {
			return err
		}
		if err := r.SetHeaderParam("User-Agent", version.UserAgent()); err != nil {
			return err
		}
		if header := t.service.token.Header(); header != "" {
			if err := r.SetHeaderParam("Authorization", header); err != nil {
				return err
			}
		}
		if key != "" && r.GetHeaderParams().Get(keyHeader) == "" {
			if err := r.SetHeaderParam(keyHeader, key); err != nil {
				return err
			}
		}
		return r.SetTimeout(0) // the client's own timeout would end streams
	})
	op.Reader = runtime.ClientResponseReaderFunc(
		func(response runtime.ClientResponse, consumer runtime.Consumer) (any, error) {
			if response.Code() == http.StatusOK {
				return reader.ReadResponse(response, consumer)
			}
			text, err := io.ReadAll(io.LimitReader(response.Body(), maxErrorBytes))
			if err != nil {
				return nil, err
			}
			return nil, &ResponseError{response.Code(), strings.TrimSpace(string(text))}
		})
	result, err := t.submit(ctx, op)
	if err != nil {
		return nil, t.service.wrap(callerCtx, err)
	}
	return result, nil
}

func isStream(op *runtime.ClientOperation) bool { return strings.HasPrefix(op.PathPattern, "/stream/") }

// WithBody makes an operation send the JSON body unchanged. A merge patch needs nulls, which the models omit.
func WithBody(body []byte) func(*runtime.ClientOperation) {
	return func(op *runtime.ClientOperation) {
		params := op.Params
		op.Params = runtime.ClientRequestWriterFunc(func(r runtime.ClientRequest, formats strfmt.Registry) error {
			if err := params.WriteToRequest(r, formats); err != nil {
				return err
			}
			return r.SetBodyParam(rawJSON(body))
		})
	}
}

// rawJSON encodes as its content.
type rawJSON []byte

// MarshalJSON implements json.Marshaler.
func (j rawJSON) MarshalJSON() ([]byte, error) { return j, nil }
