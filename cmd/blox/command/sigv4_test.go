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

// gateway is what stands before the services on AWS: it signs what it receives again, with the SDK's own signer, lets pass what
// has that signature, and sends it to one of the services by its path, without the stage.
type gateway struct {
	t           *testing.T
	credentials aws.Credentials
	state, rest http.Handler

	mu     sync.Mutex
	passed []string // method and path
}

func newGateway(t *testing.T, w *world) (*gateway, string) {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	to := func(address string) http.Handler {
		return &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: address})
			r.Out.URL.Path, r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.Path, stage), strings.TrimPrefix(r.In.URL.EscapedPath(), stage)
		}}
	}
	g := &gateway{t: t, credentials: aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret", SessionToken: "session"}, state: to(w.css), rest: to(w.ds)}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	return g, server.URL + stage
}

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/` + gatewayRegion + `/execute-api/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}$`)

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
	g.rest.ServeHTTP(w, r)
}

// isSigned makes the signature anew of what the given one says is signed.
func (g *gateway) isSigned(r *http.Request, body []byte) bool {
	given := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if given == nil || err != nil {
		return false
	}
	again, err := http.NewRequestWithContext(context.Background(), r.Method, "http://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	require.NoError(g.t, err)
	for _, name := range strings.Split(given[1], ";") {
		if name != "host" && name != "content-length" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(context.Background(), g.credentials, again, hex.EncodeToString(sum[:]), "execute-api", gatewayRegion, at); err != nil {
		return false
	}
	return again.Header.Get("Authorization") == r.Header.Get("Authorization")
}

func TestSigV4_SignsRequests(t *testing.T) {
	w := newWorld(t)
	w.withBad(1)
	g, endpoint := newGateway(t, w)
	signed := &world{t: t, environment: map[string]string{
		"BLOX_ENDPOINT": endpoint, "BLOX_SIGV4": "true", "AWS_REGION": gatewayRegion,
		"AWS_ACCESS_KEY_ID": g.credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY": g.credentials.SecretAccessKey, "AWS_SESSION_TOKEN": g.credentials.SessionToken,
	}}
	signed.ok("environments", "create", "web-agent", "--cluster", "default", "--task-definition", "agent", "--query", "attribute:ecs.os-type == linux and not attribute:a exists")
	require.Equal(t, 0, signed.blox("deployments", "create", "web-agent", "--watch").code)
	signed.ok("environments", "update", "web-agent", "--drain-order", "3")
	testenv.Eventually(t, func() bool { return len(table(signed.ok("tasks", "list", "--status", "running"))) == 1 })
	task := w.sim.Tasks("default")[0].ARN
	assert.Contains(t, signed.ok("tasks", "describe", task), task, "an ARN is in the path")
	stream := signed.start("stream", "instances", "--heartbeat", "1", "-o", "json")
	stream.says("entityVersion")
	stream.interrupt()
	assert.Equal(t, 0, stream.end())
	g.mu.Lock()
	assert.Contains(t, g.passed, "POST /blox/v1/environments")
	assert.Contains(t, g.passed, "PATCH /blox/v1/environments/web-agent")
	assert.Contains(t, g.passed, "GET /blox/v1/tasks")
	g.mu.Unlock()
	signed.ok("clusters", "list", "--endpoint", endpoint+"/", "--css-endpoint", endpoint+"/v1/")

	// What is wrong is told.
	unsigned := (&world{t: t, environment: map[string]string{"BLOX_ENDPOINT": endpoint}}).blox("environments", "list")
	assert.Equal(t, 1, unsigned.code)
	assert.Contains(t, unsigned.err, "rejected the request: Forbidden\n")
	assert.Contains(t, unsigned.err, "--sigv4")
	elsewhere := signed.blox("environments", "list", "--region", "us-east-1")
	assert.Equal(t, 1, elsewhere.code)
	assert.Contains(t, elsewhere.err, "ApiPolicyArn")
	assert.Contains(t, elsewhere.err, "--region")
	signed.environment["AWS_SECRET_ACCESS_KEY"] = "another"
	assert.Contains(t, signed.blox("environments", "list").err, "rejected the request: Forbidden")
	nowhere := t.TempDir()
	for name, value := range map[string]string{"AWS_CONFIG_FILE": nowhere + "/config", "AWS_SHARED_CREDENTIALS_FILE": nowhere + "/credentials",
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(name, value)
	}
	require.Empty(t, os.Getenv("AWS_REGION"))
	bare := &world{t: t, environment: map[string]string{"BLOX_ENDPOINT": endpoint}}
	assert.Contains(t, bare.blox("environments", "list", "--sigv4").err, "--sigv4: no AWS region: set AWS_REGION")
	assert.Contains(t, bare.blox("environments", "list", "--sigv4", "--region", "eu-west-1").err, "no AWS credentials")
}
