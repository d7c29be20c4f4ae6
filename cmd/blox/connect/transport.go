package connect

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/go-openapi/runtime"
	"github.com/go-openapi/strfmt"

	"github.com/blox/blox/internal/version"
)

// Refused is an answer that is no success.
type Refused struct {
	Status int
	Text   string // as it came, without space around it
}

func (r *Refused) Error() string { return r.Text }

// IsStatus tells whether err is an answer with that status.
func IsStatus(err error, status int) bool {
	var refused *Refused
	return errors.As(err, &refused) && refused.Status == status
}

// IsTokenUsed tells whether err is that there is a deployment already that was made with the token.
func IsTokenUsed(err error) bool {
	var refused *Refused
	return errors.As(err, &refused) && refused.Status == http.StatusBadRequest && strings.HasPrefix(refused.Text, "Deployment with token")
}

// longestRefusal is how much of an answer that is no success is read, in bytes.
const longestRefusal = 64 << 10

// transport runs a generated client's operations: within the time that is given, and with every failure as a *CallError.
type transport struct {
	service service
	inner   runtime.ContextualTransport
}

// Submit is part of runtime.ContextualTransport.
func (t *transport) Submit(op *runtime.ClientOperation) (any, error) {
	return t.SubmitContext(context.Background(), op)
}

// SubmitContext is part of runtime.ContextualTransport.
func (t *transport) SubmitContext(ctx context.Context, op *runtime.ClientOperation) (any, error) {
	ended := ctx
	if !isStream(op) {
		limited, cancel := context.WithTimeout(ctx, t.service.cfg.Timeout)
		defer cancel()
		ctx = limited
	}
	params, reader := op.Params, op.Reader
	op.Params = runtime.ClientRequestWriterFunc(func(r runtime.ClientRequest, formats strfmt.Registry) error {
		if err := params.WriteToRequest(r, formats); err != nil {
			return err
		}
		if err := r.SetHeaderParam("User-Agent", version.UserAgent()); err != nil {
			return err
		}
		return r.SetTimeout(0) // the client's own, which knows no streams
	})
	op.Reader = runtime.ClientResponseReaderFunc(func(answer runtime.ClientResponse, consumer runtime.Consumer) (any, error) {
		if answer.Code() == http.StatusOK {
			return reader.ReadResponse(answer, consumer)
		}
		text, err := io.ReadAll(io.LimitReader(answer.Body(), longestRefusal))
		if err != nil {
			return nil, err
		}
		return nil, &Refused{answer.Code(), strings.TrimSpace(string(text))}
	})
	result, err := t.inner.SubmitContext(ctx, op)
	if err != nil {
		return nil, t.service.failed(ended, err)
	}
	return result, nil
}

func isStream(op *runtime.ClientOperation) bool { return strings.HasPrefix(op.PathPattern, "/stream/") }

// WithBody has an operation send body, which is JSON, as it is: a merge patch needs its nulls, which the models leave out.
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

// rawJSON is encoded as what it holds.
type rawJSON []byte

// MarshalJSON is part of json.Marshaler.
func (j rawJSON) MarshalJSON() ([]byte, error) { return j, nil }
