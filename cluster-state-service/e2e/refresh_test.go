package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// refresh sends a body to refresh instances. It returns the status and body of the response, which it checks against
// the specification.
func (c *css) refresh(body string) (status int, read string) {
	c.t.Helper()
	client := &testenv.RawClient{Address: strings.TrimPrefix(c.url, "http://")}
	defer client.Close()
	answer, data, sent := client.Send(c.t, http.MethodPost, "/v1/instances/refresh", body, "Accept: */*")
	require.True(c.t, sent)
	c.spec.CheckResponse(c.t, answer, data)
	return answer.StatusCode, string(data)
}

func refreshBody(t *testing.T, clusterARN string, arns ...string) string {
	body, err := json.Marshal(map[string]any{"clusterARN": clusterARN, "containerInstanceARNs": arns})
	require.NoError(t, err)
	return string(body)
}

// A change of attributes causes no event. A refresh shows it without a reconciliation, and streams send it.
func TestRefresh_ShowsChangedAttributes(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	instances := w.sim.AddInstances("default", 2)
	c := w.start().ready()
	c.awaitConvergence()
	cluster := w.sim.CreateCluster("default")
	_, err := w.ecs().PutAttributes(t.Context(), &ecs.PutAttributesInput{Attributes: []types.Attribute{{
		Name: aws.String("stack"), Value: aws.String("blue"), TargetId: &instances[0],
	}}})
	require.NoError(t, err)
	unknown := strings.Replace(instances[0], "container-instance/default/", "container-instance/default/0", 1)
	before := w.revision(t)
	status, read := c.refresh(refreshBody(t, cluster, instances[0], instances[1], unknown))
	require.Equal(t, http.StatusOK, status, read)
	assert.JSONEq(t, `{"corrected":1}`, read)
	assert.Equal(t, before+1, w.revision(t), "an unchanged record is not written")
	_, shown := c.get("/v1/instances/default/" + instances[0])
	assert.Contains(t, shown, `{"name":"stack","value":"blue"}`)
	status, read = c.refresh(refreshBody(t, cluster, instances...))
	require.Equal(t, http.StatusOK, status, read)
	assert.JSONEq(t, `{"corrected":0}`, read)
}

func TestRefresh_InformerTriesEveryEndpoint(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	instances := w.sim.AddInstances("default", 1)
	c := w.start().ready()
	c.awaitConvergence()
	_, err := w.ecs().PutAttributes(t.Context(), &ecs.PutAttributesInput{Attributes: []types.Attribute{{
		Name: aws.String("stack"), TargetId: &instances[0],
	}}})
	require.NoError(t, err)
	clusters, err := informer.New(informer.Config{Endpoints: []string{testenv.FreeAddress(t), c.url}})
	require.NoError(t, err)
	corrected, err := clusters.RefreshInstances(t.Context(), w.sim.CreateCluster("default"), instances)
	require.NoError(t, err)
	assert.Equal(t, 1, corrected)
	_, shown := c.get("/v1/instances/default/" + instances[0])
	assert.Contains(t, shown, `{"name":"stack","value":""}`)
	_, err = clusters.RefreshInstances(t.Context(), "default", instances)
	assert.ErrorContains(t, err, "status 400: invalid refresh: clusterARN: malformed ARN")
}

func TestRefresh_RejectsMalformedRequests(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	instances := w.sim.AddInstances("default", 1)
	c := w.start().ready()
	cluster := w.sim.CreateCluster("default")
	elsewhere := strings.Replace(cluster, "123456789012", "000000000000", 1)
	for name, row := range map[string]struct{ body, want string }{
		"no body":           {"", "the body is no refresh in JSON"},
		"no object":         {"[]", "the body is no refresh in JSON"},
		"no instances":      {refreshBody(t, cluster), "containerInstanceARNs in body is required"},
		"too many":          {refreshBody(t, cluster, make([]string, 101)...), "at most 100 items"},
		"cluster's name":    {refreshBody(t, "default", instances...), "clusterARN: malformed ARN"},
		"task's ARN":        {refreshBody(t, cluster, runningTask), "containerInstanceARNs: malformed ARN"},
		"another account":   {refreshBody(t, elsewhere, instances...), "another account"},
		"no cluster in AWS": {`{"containerInstanceARNs":["x"]}`, "clusterARN in body is required"},
	} {
		t.Run(name, func(t *testing.T) {
			status, read := c.refresh(row.body)
			assert.Equal(t, http.StatusBadRequest, status)
			assert.Contains(t, read, row.want)
		})
	}
}

// An operator can only remove the cause that the response names.
func TestRefresh_ReportsWhyECSDoesNotDescribe(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	instances := w.sim.AddInstances("default", 1)
	c := w.start().ready()
	var respond atomic.Pointer[http.HandlerFunc]
	w.aws.Config.Handler = http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".DescribeContainerInstances") {
			w.sim.ServeHTTP(to, r)
			return
		}
		(*respond.Load())(to, r)
	})
	refuse := func(status int, code string) http.HandlerFunc {
		return func(to http.ResponseWriter, _ *http.Request) {
			to.Header().Set("Content-Type", "application/x-amz-json-1.1")
			to.WriteHeader(status)
			_, _ = to.Write([]byte(`{"__type":"` + code + `","message":"the reason"}`))
		}
	}
	for name, row := range map[string]struct {
		respond http.HandlerFunc
		status  int
		want    string
	}{
		"permissions": {refuse(400, "AccessDeniedException"), 503, "ECS denies access: AccessDeniedException: the reason\n"},
		"credentials": {
			refuse(400, "ExpiredTokenException"), 503,
			"AWS rejects the credentials or the clock of cluster-state-service in region us-east-1: ExpiredTokenException\n",
		},
		"throttling": {
			refuse(400, "ThrottlingException"), 503,
			"ECS throttles the calls of cluster-state-service in region us-east-1\n",
		},
		"outage": {refuse(500, "ServerException"), 503, "ECS does not respond in region us-east-1\n"},
		"lost connection": {
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 503,
			"ECS does not respond in region us-east-1\n",
		},
		"another reason": {refuse(400, "InvalidParameterException"), 500, "Unexpected internal server error\n"},
	} {
		t.Run(name, func(t *testing.T) {
			respond.Store(&row.respond)
			status, read := c.refresh(refreshBody(t, w.sim.CreateCluster("default"), instances...))
			assert.Equal(t, row.status, status)
			assert.Equal(t, row.want, read)
		})
	}
}
