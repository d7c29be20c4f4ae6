package awsconfig

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Without BufferBodies, some of a thousand large and quick responses are truncated.
func TestBufferBodies_ReadsQuickResponses(t *testing.T) {
	arn := "arn:aws:ecs:us-east-1:123456789012:cluster/" + strings.Repeat("x", 100)
	answer := `{"clusterArns":["` + strings.Repeat(arn+`","`, 999) + arn + `"]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.Equal(t, "{}", string(body))
		assert.Equal(t, int64(2), r.ContentLength)
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	client := ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: aws.AnonymousCredentials{},
		HTTPClient: BufferBodies(server.Client()),
	})
	for range 300 {
		out, err := client.ListClusters(t.Context(), &ecs.ListClustersInput{}, NoRetry)
		require.NoError(t, err)
		require.Len(t, out.ClusterArns, 1000)
	}
}
