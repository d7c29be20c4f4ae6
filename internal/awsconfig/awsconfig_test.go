package awsconfig

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cleanEnv hides the machine's own AWS settings.
func cleanEnv(t *testing.T) {
	for _, name := range []string{
		"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECS",
		"AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_STS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWS_MAX_ATTEMPTS",
	} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/config")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/credentials")
}

func env(of map[string]string) func(string) string {
	return func(name string) string { return of[name] }
}

// with is a complete environment with AWS at url.
func with(url string) map[string]string {
	return map[string]string{
		"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret",
	}
}

func load(t *testing.T, of map[string]string) aws.Config {
	t.Helper()
	cfg, err := Load(t.Context(), env(of))
	require.NoError(t, err)
	return cfg
}

// fakeAWS responds to every call with status and closes the connection. It counts calls and keeps the last user agent.
func fakeAWS(t *testing.T, status int) (url string, calls *atomic.Int64, agent *atomic.Value) {
	calls, agent = new(atomic.Int64), new(atomic.Value)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		agent.Store(r.Header.Get("User-Agent"))
		w.Header().Set("Connection", "close")
		w.WriteHeader(status)
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(server.Close)
	return server.URL, calls, agent
}

func TestLoad_RequiresARegion(t *testing.T) {
	cleanEnv(t)
	_, err := Load(t.Context(), env(nil))
	assert.EqualError(t, err, "no AWS region: set AWS_REGION, or AWS_PROFILE to a profile that has one")
	assert.Equal(t, "eu-west-1", load(t, with("")).Region)
}

func TestLoad_BoundsEveryAttempt(t *testing.T) {
	cleanEnv(t)
	client := load(t, with("")).HTTPClient.(bodyBuffer).next.(*awshttp.BuildableClient)
	longPoll := 20 * time.Second
	assert.Greater(t, client.GetTimeout(), longPoll)
	assert.Greater(t, client.GetTransport().ResponseHeaderTimeout, longPoll)
	assert.Positive(t, client.GetDialer().Timeout)
	assert.Positive(t, client.GetTransport().TLSHandshakeTimeout)
}

func TestClients_SendBloxAsUserAgent(t *testing.T) {
	cleanEnv(t)
	url, calls, agent := fakeAWS(t, http.StatusOK)
	client, err := ECS(load(t, with(url)), env(nil))
	require.NoError(t, err)
	_, err = client.ListClusters(t.Context(), &ecs.ListClustersInput{})
	require.NoError(t, err)
	assert.EqualValues(t, 1, calls.Load())
	assert.Contains(t, agent.Load(), "Blox/dev")

	queue, queueCalls, agent := fakeAWS(t, http.StatusOK)
	_, err = SQS(load(t, with(queue))).ListQueues(t.Context(), &sqs.ListQueuesInput{})
	require.NoError(t, err)
	assert.EqualValues(t, 1, queueCalls.Load())
	assert.Contains(t, agent.Load(), "Blox/dev")

	stream, streamCalls, agent := fakeAWS(t, http.StatusOK)
	_, err = Kinesis(load(t, with(stream))).ListStreams(t.Context(), &kinesis.ListStreamsInput{})
	require.NoError(t, err)
	assert.EqualValues(t, 1, streamCalls.Load())
	assert.Contains(t, agent.Load(), "Blox/dev")
}

func TestNoRetry_SendsOneAttempt(t *testing.T) {
	cleanEnv(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "2")
	url, calls, _ := fakeAWS(t, http.StatusInternalServerError)
	client, err := ECS(load(t, with(url)), env(nil))
	require.NoError(t, err)
	start := &ecs.StartTaskInput{TaskDefinition: aws.String("agent"), ContainerInstances: []string{"i1"}}

	_, err = client.StartTask(t.Context(), start, NoRetry)
	require.Error(t, err)
	assert.EqualValues(t, 1, calls.Load())
	_, err = client.StartTask(t.Context(), start)
	require.Error(t, err)
	assert.EqualValues(t, 1+2, calls.Load(), "without NoRetry the SDK tries again")
}

func TestECS_PrefersItsOwnEndpoint(t *testing.T) {
	cleanEnv(t)
	wrong, wrongCalls, _ := fakeAWS(t, http.StatusOK)
	right, rightCalls, _ := fakeAWS(t, http.StatusOK)
	t.Setenv("AWS_ENDPOINT_URL_ECS", wrong)
	client, err := ECS(load(t, with(wrong)), env(map[string]string{"ECS_ENDPOINT": right}))
	require.NoError(t, err)
	_, err = client.ListClusters(t.Context(), &ecs.ListClustersInput{})
	require.NoError(t, err)
	assert.EqualValues(t, 1, rightCalls.Load())
	assert.Zero(t, wrongCalls.Load())

	client, err = ECS(load(t, with("")), env(map[string]string{"ECS_ENDPOINT": "ecs.example.com"}))
	require.NoError(t, err)
	assert.Equal(t, "https://ecs.example.com", *client.Options().BaseEndpoint)

	for _, bad := range []string{"http://", "ftp://ecs", "https://:443", "http://a b", "://x"} {
		_, err := ECS(load(t, with("")), env(map[string]string{"ECS_ENDPOINT": bad}))
		assert.ErrorContains(t, err, "ECS_ENDPOINT: ", bad)
	}
}

// A simulator's AWS_ENDPOINT_URL applies to every service, credentials' own among them, unless a service has a variable
// of its own.
func TestSTS_PrefersItsOwnEndpoint(t *testing.T) {
	cleanEnv(t)
	simulator, simulated, _ := fakeAWS(t, http.StatusForbidden)
	own, calls, _ := fakeAWS(t, http.StatusForbidden)
	t.Setenv("AWS_ENDPOINT_URL", simulator)
	assume := func() {
		t.Helper()
		_, err := STS(load(t, with(simulator))).AssumeRole(t.Context(), &sts.AssumeRoleInput{
			RoleArn: aws.String("arn:aws:iam::123456789012:role/a"), RoleSessionName: aws.String("b"),
		})
		require.Error(t, err)
	}
	assume()
	assert.EqualValues(t, 1, simulated.Load())
	t.Setenv("AWS_ENDPOINT_URL_STS", own)
	assume()
	assert.EqualValues(t, 1, calls.Load())
	assert.EqualValues(t, 1, simulated.Load())
}
