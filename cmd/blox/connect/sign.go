package connect

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signedService is the name of API Gateway in signatures.
const signedService = "execute-api"

// signer signs requests with AWS's Signature Version 4.
type signer struct {
	next        http.RoundTripper
	region      string
	credentials aws.CredentialsProvider
	sign        *v4.Signer
	now         func() time.Time
}

// RoundTrip implements http.RoundTripper.
func (s *signer) RoundTrip(given *http.Request) (*http.Response, error) {
	ctx := given.Context()
	request := given.Clone(ctx) // a RoundTripper must not change its request
	var body []byte
	if given.Body != nil {
		var err error
		body, err = io.ReadAll(given.Body)
		_ = given.Body.Close()
		if err != nil {
			return nil, err
		}
		request.Body = io.NopCloser(bytes.NewReader(body))
		request.ContentLength = int64(len(body))
		request.TransferEncoding = nil
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		if len(body) == 0 {
			request.Body = http.NoBody
		}
	}
	credentials, err := s.credentials.Retrieve(ctx)
	if err != nil {
		return nil, &noCredentials{err}
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	err = s.sign.SignHTTP(ctx, credentials, request, hash, signedService, s.region, s.now())
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return s.next.RoundTrip(request)
}

// noCredentials reports that no AWS credentials were found.
type noCredentials struct{ err error }

func (n *noCredentials) Error() string { return "no AWS credentials: " + n.err.Error() }
func (n *noCredentials) Unwrap() error { return n.err }
