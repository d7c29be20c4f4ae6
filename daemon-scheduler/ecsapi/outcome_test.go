package ecsapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/awsconfig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// respond serves every request with one status and body.
func respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// apiError is the body of an error answer of ECS.
func apiError(code string) string { return `{"__type":"` + code + `","message":"the reason"}` }

// clientAt returns a Client without limits whose SDK does not retry.
func clientAt(url string) *Client {
	return New(ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: &url, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		HTTPClient:  awsconfig.BufferBodies(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}),
	}), Limits{})
}

func TestStartTask_ClassifiesWhatECSAnswers(t *testing.T) {
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, tc := range map[string]struct {
		serve http.HandlerFunc
		want  Class
		code  string
	}{
		"success":               {respond(200, `{"tasks":[],"failures":[]}`), Succeeded, ""},
		"throttled":             {respond(400, apiError("ThrottlingException")), NotSent, ""},
		"rejected":              {respond(400, apiError("ClientException")), Rejected, "ClientException"},
		"forbidden":             {respond(403, apiError("AccessDeniedException")), Rejected, "AccessDeniedException"},
		"server error":          {respond(500, apiError("ServerException")), Unknown, ""},
		"gateway error":         {respond(502, "<html>"), Unknown, ""},
		"unreadable answer":     {respond(200, `{"tasks":`), Unknown, ""},
		"connection terminated": {abort, Unknown, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.serve)
			defer server.Close()
			outcome := startTask(t.Context(), server.URL)
			assert.Equal(t, tc.want, outcome.Class)
			assert.Equal(t, tc.code, outcome.Code)
			assert.Equal(t, tc.want == Succeeded, outcome.Err == nil)
		})
	}
}

func TestStartTask_KnowsThatItWasNotSent(t *testing.T) {
	const closed = "http://127.0.0.1:1"
	assert.Equal(t, NotSent, startTask(t.Context(), closed).Class, "connection refused")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Equal(t, NotSent, startTask(ctx, closed).Class, "context ended before the call")
}

func TestClassify_TreatsOtherErrorsAsUnknown(t *testing.T) {
	assert.Equal(t, Unknown, classify(errors.New("something else"), true).Class)
}

func startTask(ctx context.Context, url string) Outcome {
	_, outcome := clientAt(url).StartTask(ctx, &ecs.StartTaskInput{
		ContainerInstances: []string{"i"}, TaskDefinition: aws.String("agent"),
	})
	return outcome
}
