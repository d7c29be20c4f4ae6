package awsconfig

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// BufferBodies returns a client that sends a request's header and body together. Load's clients use it.
//
// The SDK closes a request's body as soon as the response's header arrives. Net/http sends a body of an unknown type in
// two steps and may not have finished by then. It then drops the connection and, with it, the unread response: a
// received batch of messages would be hidden for its visibility timeout.
func BufferBodies(next aws.HTTPClient) aws.HTTPClient { return bodyBuffer{next} }

// bodyBuffer replaces bodies by ones of a type that net/http knows.
type bodyBuffer struct{ next aws.HTTPClient }

func (c bodyBuffer) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return c.next.Do(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read request body: %w", err)
	}
	sent := *r // has a body that the SDK does not close
	sent.Body = io.NopCloser(bytes.NewReader(body))
	sent.ContentLength = int64(len(body))
	return c.next.Do(&sent)
}
