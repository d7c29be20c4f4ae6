package awsconfig

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// BufferBodies is next, which sends each request's header and body together; Load's clients use it.
//
// The SDK closes a request's body as soon as the answer's header is there, and net/http, which sends a body of a type that
// it does not know in two steps, may not have finished with it by then: it drops the connection, and with it an answer that was
// quick but is not read yet. A received batch of messages would be hidden for its visibility timeout.
func BufferBodies(next aws.HTTPClient) aws.HTTPClient { return bodyBuffer{next} }

// bodyBuffer gives net/http bodies of a type that it knows.
type bodyBuffer struct{ next aws.HTTPClient }

func (c bodyBuffer) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return c.next.Do(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the request's body: %w", err)
	}
	sent := *r // with a body of its own, which the SDK does not close
	sent.Body = io.NopCloser(bytes.NewReader(body))
	sent.ContentLength = int64(len(body))
	return c.next.Do(&sent)
}
