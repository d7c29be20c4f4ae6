package command_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

const (
	gatewayRegion = "eu-central-1"
	stage         = "/blox" // as the AWS stack's ApiStageName
)

// gateway stands in for API Gateway: it verifies each signature with the SDK's signer, rejects requests that are not
// signed, removes the stage from the path, and forwards the request to one of the services.
type gateway struct {
	t           *testing.T
	credentials aws.Credentials
	state       http.Handler // cluster-state-service
	scheduler   http.Handler // daemon-scheduler

	mu     sync.Mutex
	passed []string // method and path
}

func newGateway(t *testing.T, h *harness) (*gateway, string) {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	to := func(address string) http.Handler {
		return &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: address})
			r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, stage)
			r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.EscapedPath(), stage)
		}}
	}
	g := &gateway{
		t: t, state: to(h.css), scheduler: to(h.ds),
		credentials: aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret", SessionToken: "session"},
	}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	return g, server.URL + stage
}

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/` + gatewayRegion +
	`/execute-api/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}$`)

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	assert.NoError(g.t, err)
	if !g.isSigned(r, body) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message":"Forbidden"}`)
		return
	}
	g.mu.Lock()
	g.passed = append(g.passed, r.Method+" "+r.URL.EscapedPath())
	g.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	path := strings.TrimPrefix(r.URL.Path, stage+"/v1/")
	for _, of := range []string{"tasks", "instances", "clusters", "stream/tasks", "stream/instances"} {
		if path == of || strings.HasPrefix(path, of+"/") {
			g.state.ServeHTTP(w, r)
			return
		}
	}
	g.scheduler.ServeHTTP(w, r)
}

// isSigned computes the signature of the headers that the request lists as signed, and compares it.
func (g *gateway) isSigned(r *http.Request, body []byte) bool {
	given := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if given == nil || err != nil {
		return false
	}
	expected, err := http.NewRequestWithContext(
		context.Background(), r.Method, "http://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	require.NoError(g.t, err)
	for _, name := range strings.Split(given[1], ";") {
		if name != "host" && name != "content-length" {
			expected.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(context.Background(), g.credentials, expected, hex.EncodeToString(sum[:]), "execute-api",
		gatewayRegion, at)
	if err != nil {
		return false
	}
	return expected.Header.Get("Authorization") == r.Header.Get("Authorization")
}

func TestSigV4_SignsRequests(t *testing.T) {
	h := newHarness(t)
	h.prepareCluster(1)
	g, endpoint := newGateway(t, h)
	signed := &harness{t: t, environment: map[string]string{
		"BLOX_ENDPOINT": endpoint, "BLOX_SIGV4": "true", "AWS_REGION": gatewayRegion,
		"AWS_ACCESS_KEY_ID":     g.credentials.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY": g.credentials.SecretAccessKey,
		"AWS_SESSION_TOKEN":     g.credentials.SessionToken,
	}}
	signed.mustRun("environments", "create", "web-agent", "--cluster", "default", "--task-definition", "agent", "--query",
		"attribute:ecs.os-type == linux and not attribute:a exists")
	require.Equal(t, 0, signed.run("deployments", "create", "web-agent", "--watch").code)
	signed.mustRun("environments", "update", "web-agent", "--drain-order", "3")
	testenv.Eventually(t, func() bool {
		return len(tableRows(signed.mustRun("tasks", "list", "--status", "running"))) == 1
	})
	task := h.sim.Tasks("default")[0].ARN
	assert.Contains(t, signed.mustRun("tasks", "describe", task), task, "an ARN is in the path")
	stream := signed.start("stream", "instances", "--heartbeat", "1", "-o", "json")
	stream.awaitOutput("entityVersion")
	stream.interrupt()
	assert.Equal(t, 0, stream.awaitExit())
	g.mu.Lock()
	assert.Contains(t, g.passed, "POST /blox/v1/environments")
	assert.Contains(t, g.passed, "PATCH /blox/v1/environments/web-agent")
	assert.Contains(t, g.passed, "GET /blox/v1/tasks")
	g.mu.Unlock()
	signed.mustRun("clusters", "list", "--endpoint", endpoint+"/", "--css-endpoint", endpoint+"/v1/")

	// Errors name the cause.
	unsigned := (&harness{t: t, environment: map[string]string{"BLOX_ENDPOINT": endpoint}}).run("environments", "list")
	assert.Equal(t, 1, unsigned.code)
	assert.Contains(t, unsigned.err, "rejected the request: Forbidden\n")
	assert.Contains(t, unsigned.err, "--sigv4")
	elsewhere := signed.run("environments", "list", "--region", "us-east-1")
	assert.Equal(t, 1, elsewhere.code)
	assert.Contains(t, elsewhere.err, "ApiPolicyArn")
	assert.Contains(t, elsewhere.err, "--region")
	signed.environment["AWS_SECRET_ACCESS_KEY"] = "another"
	assert.Contains(t, signed.run("environments", "list").err, "rejected the request: Forbidden")
	empty := t.TempDir()
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": empty + "/config", "AWS_SHARED_CREDENTIALS_FILE": empty + "/credentials",
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
		"AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	require.Empty(t, os.Getenv("AWS_REGION"))
	bare := &harness{t: t, environment: map[string]string{"BLOX_ENDPOINT": endpoint}}
	assert.Contains(t, bare.run("environments", "list", "--sigv4").err, "--sigv4: no AWS region: set AWS_REGION")
	assert.Contains(t, bare.run("environments", "list", "--sigv4", "--region", "eu-west-1").err, "no AWS credentials")
}
