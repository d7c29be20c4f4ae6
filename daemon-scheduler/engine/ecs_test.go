package engine

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

	"github.com/blox/blox/internal/awsconfig"
)

// TestClassify holds the answers that StartTask can get over the wire against what they say about the deed.
func TestClassify(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, tc := range map[string]struct {
		serve http.HandlerFunc
		want  outcome
		code  string
	}{
		"done":             {answer(200, `{"tasks":[],"failures":[]}`), succeeded, ""},
		"throttled":        {answer(400, `{"__type":"ThrottlingException","message":"Rate exceeded"}`), undone, ""},
		"refused":          {answer(400, `{"__type":"ClusterNotFoundException","message":"Cluster not found."}`), refused, "ClusterNotFoundException"},
		"forbidden":        {answer(403, `{"__type":"AccessDeniedException","message":"no"}`), refused, "AccessDeniedException"},
		"server error":     {answer(500, `{"__type":"ServerException","message":"sorry"}`), unknown, ""},
		"gateway error":    {answer(502, "<html>"), unknown, ""},
		"answer unreadble": {answer(200, `{"tasks":`), unknown, ""},
		"connection cut":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, unknown, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.serve)
			defer server.Close()
			is, code, _ := startTask(t.Context(), server.URL)
			assert.Equal(t, tc.want, is)
			assert.Equal(t, tc.code, code)
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		is, _, _ := startTask(t.Context(), "http://127.0.0.1:1")
		assert.Equal(t, undone, is)
	})
	t.Run("too late", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		is, _, _ := startTask(ctx, "http://127.0.0.1:1")
		assert.Equal(t, undone, is)
	})
	is, _, _ := classify(errors.New("something else"), true)
	assert.Equal(t, unknown, is)
}

func startTask(ctx context.Context, url string) (is outcome, code, message string) {
	client := ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		HTTPClient: awsconfig.BufferBodies(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}),
	})
	traced, sent := watchSending(ctx)
	_, err := client.StartTask(traced, &ecs.StartTaskInput{
		ContainerInstances: []string{"i"}, TaskDefinition: aws.String("agent"),
	}, awsconfig.NoRetry)
	return classify(err, sent())
}
