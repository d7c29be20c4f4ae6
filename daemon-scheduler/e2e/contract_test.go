package e2e

import (
	stdjson "encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	v1 "github.com/blox/blox/swagger/daemon-scheduler/v1"
)

const (
	asJSON        = "application/json; charset=UTF-8"
	plain         = "text/plain; charset=utf-8"
	usedToken     = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
	unusedToken   = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
	newDeployment = "22222222-2222-4222-8222-222222222222"
	oldDeployment = "11111111-1111-4111-8111-111111111111"
)

// completedRecord returns a record of v0.3 whose InProgressDeploymentID still names a completed deployment.
func completedRecord(name, cluster, agent string) string {
	return `{"Token":"` + usedToken + `","Name":"` + name + `","DesiredTaskDefinition":"` + agent + `",
		"DesiredTaskCount":1,"Cluster":"arn:aws:ecs:us-east-1:123456789012:cluster/` + cluster + `","Health":1,
		"PendingDeploymentID":"","InProgressDeploymentID":"` + oldDeployment + `","Later":{"kept":true},
		"Deployments":{"` + oldDeployment + `":{"ID":"` + oldDeployment + `","Status":2,"Health":1,
		"TaskDefinition":"` + agent + `","DesiredTaskCount":1,"Token":"` + usedToken + `",
		"FailedInstances":[{"Arn":"arn:i2","Reason":"AGENT"},{"Arn":"arn:i1","Reason":"RESOURCE:CPU"}],
		"StartTime":"2017-05-01T10:00:00Z","EndTime":"2017-05-01T10:01:00Z"}}}`
}

// inProgressRecord returns a record whose newDeployment is in progress and used another token than the environment's.
func inProgressRecord(agent string) string {
	return `{"Token":"` + unusedToken + `","Name":"busy","DesiredTaskDefinition":"` + agent + `",
		"DesiredTaskCount":0,"Cluster":"` + prod + `","Health":0,"PendingDeploymentID":"",
		"InProgressDeploymentID":"` + newDeployment + `","Deployments":{
		"` + oldDeployment + `":{"ID":"` + oldDeployment + `","Status":2,"Health":0,
		"TaskDefinition":"` + agent + `","DesiredTaskCount":0,"Token":"x","FailedInstances":null,
		"StartTime":"2017-05-01T10:00:00Z","EndTime":"0001-01-01T00:00:00Z"},
		"` + newDeployment + `":{"ID":"` + newDeployment + `","Status":1,"Health":0,
		"TaskDefinition":"` + agent + `","DesiredTaskCount":0,"Token":"` + usedToken + `","FailedInstances":null,
		"StartTime":"2017-05-02T10:00:00Z","EndTime":"0001-01-01T00:00:00Z"}}}`
}

// TestContract_Responses checks every row of the contract. No cluster-state-service runs, so the scheduler starts no
// tasks.
func TestContract_Responses(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	goneCluster, retired := w.createInactive()
	w.putRecord("ecs/environment/old", completedRecord("old", "elsewhere", w.agent))
	w.putRecord("ecs/environment/busy", inProgressRecord(w.agent))
	d := w.startScheduler(unusedAddress)
	docs, _ := d.send("GET", "/docs", "")
	assert.Equal(t, http.StatusOK, docs.StatusCode)
	made := d.createEnvironment("made")
	const created = `{"name":"x","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`
	failed := "validation failure list:\n"

	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		want               string // the body, or its beginning followed by …
		kind               string // Content-Type; if empty, JSON for 200 and plain text otherwise
	}{
		"ping":   {"GET", "/v1/ping", "", 200, "", ""},
		"a spec": {"GET", "/v1/swagger.json", "", 200, string(v1.JSON), ""},

		"list, by name": {"GET", "/v1/environments", "", 200, `{"items":[{"deploymentToken":"` + unusedToken +
			`","health":"healthy","instanceGroup":{"cluster":"` + prod + `"},"name":"busy",…`, ""},
		"list, cluster by name": {"GET", "/v1/environments?cluster=elsewhere", "", 200,
			`{"items":[{"deploymentToken":"` + usedToken + `","health":"unhealthy",` +
				`"instanceGroup":{"cluster":"arn:aws:ecs:us-east-1:123456789012:cluster/elsewhere"},"name":"old",` +
				`"taskDefinition":"` + w.agent + "\"}]}\n", ""},
		"list, cluster by ARN": {"GET",
			"/v1/environments?cluster=arn:aws:ecs:us-east-1:123456789012:cluster/elsewhere&nextToken=", "", 200,
			`{"items":[{"deploymentToken":"` + usedToken + `",…`, ""},
		"list, cluster of another region": {"GET",
			"/v1/environments?cluster=arn:aws:ecs:us-east-2:123456789012:cluster/elsewhere", "", 200, "{\"items\":[]}\n", ""},
		"list, region and account": {"GET", "/v1/environments?region=us-east-2&account=123456789012", "", 200,
			"{\"items\":[]}\n", ""},
		"list, bad region": {"GET", "/v1/environments?region=a!", "", 400,
			"Invalid region \"a!\": must be regions such as eu-west-1\n", ""},
		"list, empty filter": {"GET", "/v1/environments?cluster=", "", 200, `{"items":[{…`, ""},
		"list, unknown filter": {"GET", "/v1/environments?colour=red", "", 400,
			"At least one of the filters provided is not supported\n", ""},
		"list, filter in upper case": {"GET", "/v1/environments?Cluster=prod&cluster=a&cluster=b", "", 400,
			"At least one of the filters provided is not supported\n", ""},
		"list, repeated filter": {"GET", "/v1/environments?cluster=!&cluster=b", "", 400,
			"At least one of the filters provided is specified multiple times\n", ""},
		"list, bad cluster": {"GET", "/v1/environments?cluster=a!", "", 400, "Invalid cluster ARN or name\n",
			""},
		"list, no cluster's ARN": {"GET", "/v1/environments?cluster=" + w.agent, "", 400,
			"Invalid cluster ARN or name\n", ""},

		"get": {"GET", "/v1/environments/made", "", 200, `{"deploymentToken":"` + made.DeploymentToken +
			`","health":"healthy","instanceGroup":{"cluster":"` + prod + `"},"name":"made",` +
			`"taskDefinition":"` + w.agent + "\"}\n", ""},
		"get none":    {"GET", "/v1/environments/none", "", 404, "Environment none does not exist\n", ""},
		"get no name": {"GET", "/v1/environments/a%2Fb", "", 404, "Environment a/b does not exist\n", ""},
		"delete none": {"DELETE", "/v1/environments/none", "", 200, "", ""},

		"create, name taken": {"POST", "/v1/environments", strings.Replace(created, `"x"`, `"made"`, 1), 400,
			"Error saving environment made to store: An environment with name made already exists\n", ""},
		"create, nothing": {"POST", "/v1/environments", "{}", 400, failed +
			"instanceGroup in body is required\nname in body is required\ntaskDefinition in body is required\n", ""},
		"create, null": {"POST", "/v1/environments", "null", 400, failed +
			"instanceGroup in body is required\nname in body is required\ntaskDefinition in body is required\n", ""},
		"create, no name": {"POST", "/v1/environments",
			`{"instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`, 400, failed + "name in body is required\n", ""},
		"create, empty name": {"POST", "/v1/environments", strings.Replace(created, `"x"`, `""`, 1), 400, failed +
			"name in body should match '^[a-zA-Z0-9-_]{1,30}$'\n", ""},
		"create, bad name": {"POST", "/v1/environments", strings.Replace(created, `"x"`, `"a b"`, 1), 400, failed +
			"name in body should match '^[a-zA-Z0-9-_]{1,30}$'\n", ""},
		"create, long name": {"POST", "/v1/environments", strings.Replace(created, `"x"`, `"`+
			strings.Repeat("x", 31)+`"`, 1), 400, failed + "name in body should match '^[a-zA-Z0-9-_]{1,30}$'\n", ""},
		"create, empty task": {"POST", "/v1/environments", strings.Replace(created, `"agent"`, `""`, 1), 400,
			failed + "taskDefinition in body should be at least 1 chars long\n", ""},
		"create, empty cluster": {"POST", "/v1/environments", strings.Replace(created, `"prod"`, `""`, 1), 400, failed +
			"instanceGroup.cluster in body is required\n", ""},
		"create, no cluster": {"POST", "/v1/environments", strings.Replace(created, `"cluster":"prod"`, ``, 1), 400,
			failed + "instanceGroup.cluster in body is required\n", ""},
		"create, null group": {"POST", "/v1/environments", strings.Replace(created, `{"cluster":"prod"}`, `null`, 1),
			400, failed + "instanceGroup in body is required\n", ""},
		"create, no body": {"POST", "/v1/environments", "", 400,
			"The body is empty: an environment in JSON is required\n", ""},
		"create, broken JSON": {"POST", "/v1/environments", "{", 400,
			"The body is not JSON: unexpected end of JSON input\n", ""},
		"create, two values": {"POST", "/v1/environments", created + created, 400, "The body is not JSON: …", ""},
		"create, wrong type": {"POST", "/v1/environments", strings.Replace(created, `"x"`, `7`, 1), 400,
			"The body is not an environment: name must not be of type number\n", ""},
		"create, a list": {"POST", "/v1/environments", "[]", 400,
			"The body is not an environment: it must not be of type array\n", ""},
		"create, unknown cluster": {"POST", "/v1/environments", strings.Replace(created, `"prod"`, `"none"`, 1), 404,
			"Cluster \"none\" does not exist\n", ""},
		"create, inactive cluster": {"POST", "/v1/environments",
			strings.Replace(created, `"prod"`, `"`+goneCluster+`"`, 1), 404, "Cluster is inactive\n", ""},
		"create, unknown definition": {"POST", "/v1/environments", strings.Replace(created, `"agent"`, `"none"`, 1), 404,
			"TaskDefinition \"none\" does not exist\n", ""},
		"create, inactive definition": {"POST", "/v1/environments", strings.Replace(created, `"agent"`, `"`+retired+`"`, 1),
			404, "TaskDefinition is inactive\n", ""},

		"deploy, no token": {"POST", "/v1/environments/made/deployments", "", 400, "the deploymentToken is missing\n",
			""},
		"deploy, no uuid": {"POST", "/v1/environments/made/deployments?deploymentToken=x", "", 400,
			"the deploymentToken is not a lower-case UUID\n", ""},
		"deploy, upper case": {"POST", "/v1/environments/made/deployments?deploymentToken=" + strings.ToUpper(usedToken),
			"", 400, "the deploymentToken is not a lower-case UUID\n", ""},
		"deploy, outdated": {"POST", "/v1/environments/made/deployments?deploymentToken=" + unusedToken, "", 400,
			"Token '" + unusedToken + "' is outdated\n", ""},
		"deploy, used": {"POST", "/v1/environments/old/deployments?deploymentToken=" + usedToken, "", 400,
			"Deployment with token '" + usedToken + "' already exists\n", ""},
		"deploy, in progress": {"POST", "/v1/environments/busy/deployments?deploymentToken=" + unusedToken, "", 400,
			"There is already a deployment in progress: " + newDeployment + "\n", ""},
		"deploy, no environment": {"POST", "/v1/environments/none/deployments?deploymentToken=" + unusedToken, "", 404,
			"Environment none does not exist\n", ""},
		"deployments, none there": {"GET", "/v1/environments/none/deployments", "", 404, "Environment none does not exist\n",
			""},
		"deployments, none yet": {"GET", "/v1/environments/made/deployments?nextToken=x&colour=red", "", 200,
			"{\"items\":[]}\n", ""},
		"deployments, v0.3's": {"GET", "/v1/environments/old/deployments", "", 200,
			`{"items":[{"environmentName":"old","failedInstances":["arn:i1","arn:i2"],"id":"` + oldDeployment +
				`","status":"completed","taskDefinition":"` + w.agent + "\"}]}\n", ""},
		"deployments, newest first": {"GET", "/v1/environments/busy/deployments", "", 200,
			`{"items":[{"environmentName":"busy","failedInstances":[],"id":"` + newDeployment + `","status":"running",` +
				`"taskDefinition":"` + w.agent + `"},{"environmentName":"busy","failedInstances":[],"id":"` + oldDeployment + `",…`,
			""},
		"deployment": {"GET", "/v1/environments/busy/deployments/" + newDeployment, "", 200,
			`{"environmentName":"busy","failedInstances":[],"id":"` + newDeployment + `","status":"running","taskDefinition":"` +
				w.agent + "\"}\n", ""},
		"deployment, none": {"GET", "/v1/environments/busy/deployments/x", "", 404,
			"Deployment x does not exist for environment busy\n", ""},
		"deployment, no environ.": {"GET", "/v1/environments/none/deployments/" + newDeployment, "", 404,
			"Environment none does not exist\n", ""},

		"unknown path":    {"GET", "/v1/nothing", "", 404, "404 page not found\n", ""},
		"unknown method":  {"PUT", "/v1/environments", "", 405, "Method Not Allowed\n", ""},
		"trailing slash":  {"GET", "/v1/environments/?cluster=a", "", 301, "Moved Permanently\n", ""},
		"doubled slashes": {"GET", "/v1//environments", "", 301, "Moved Permanently\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			on := *d
			w := *d.system
			w.t = t
			on.system = &w
			var answer *http.Response
			var body string
			if tc.status == 405 || tc.status == 301 || tc.path == "/v1/nothing" || strings.Contains(tc.path, "%2F") {
				answer, body = on.send(tc.method, tc.path, tc.body)
			} else {
				answer, body = on.sendValid(tc.method, tc.path, tc.body)
			}
			assert.Equal(t, tc.status, answer.StatusCode, body)
			if answer.StatusCode == 200 && strings.HasPrefix(body, "{") && !strings.HasSuffix(tc.path, "swagger.json") {
				body = keepV03Fields(t, body)
			}
			if begin, cut := strings.CutSuffix(tc.want, "…"); cut {
				assert.Equal(t, begin, body[:min(len(begin), len(body))])
			} else {
				assert.Equal(t, tc.want, body)
			}
			kind := tc.kind
			if kind == "" {
				kind = map[bool]string{true: asJSON, false: plain}[tc.status == 200]
			}
			assert.Equal(t, kind, answer.Header.Get("Content-Type"))
		})
	}

	answer, _ := d.send("PUT", "/v1/environments", "")
	assert.Equal(t, "GET, HEAD, POST", answer.Header.Get("Allow"))
	answer, body := d.send("HEAD", "/v1/environments/made", "")
	assert.Equal(t, 200, answer.StatusCode)
	assert.Empty(t, body)
	answer, _ = d.send("GET", "/v1/environments/?cluster=a", "")
	assert.Equal(t, "../../v1/environments?cluster=a", answer.Header.Get("Location"), "below any prefix of a proxy")

	answer, body = d.sendValid("GET", "/v1/ready", "")
	assert.Equal(t, 503, answer.StatusCode)
	assert.Contains(t, body, "no data from cluster-state-service yet")
}

// createInactive creates an INACTIVE cluster and an INACTIVE task definition.
func (w *system) createInactive() (cluster, definition string) {
	w.t.Helper()
	client := w.ecs()
	gone, retired := w.sim.CreateCluster("gone"), w.sim.RegisterTaskDefinition("retired")
	_, err := client.DeleteCluster(w.t.Context(), &ecs.DeleteClusterInput{Cluster: &gone})
	require.NoError(w.t, err)
	_, err = client.DeregisterTaskDefinition(w.t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &retired})
	require.NoError(w.t, err)
	return "gone", aws.ToString(&retired)
}

// keepV03Fields returns the body without the fields that clients of v0.3 do not know.
func keepV03Fields(t *testing.T, body string) string {
	t.Helper()
	var strip func(v any) any
	known := func(o map[string]any, keys ...string) any {
		kept := map[string]any{}
		for _, key := range keys {
			if v, ok := o[key]; ok {
				kept[key] = strip(v)
			}
		}
		return kept
	}
	strip = func(v any) any {
		switch v := v.(type) {
		case []any:
			for i := range v {
				v[i] = strip(v[i])
			}
		case map[string]any:
			switch {
			case v["items"] != nil:
				return known(v, "items", "nextToken")
			case v["deploymentToken"] != nil:
				return known(v, "name", "deploymentToken", "instanceGroup", "taskDefinition", "health")
			case v["environmentName"] != nil:
				return known(v, "id", "status", "taskDefinition", "environmentName", "failedInstances")
			}
			return known(v, "cluster")
		}
		return v
	}
	var v any
	require.NoError(t, stdjson.Unmarshal([]byte(body), &v))
	seen, err := stdjson.Marshal(strip(v))
	require.NoError(t, err)
	return string(seen) + "\n"
}
