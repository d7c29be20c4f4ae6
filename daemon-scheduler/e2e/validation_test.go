package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// Create and update reject the same settings with the same text.
func TestValidation_RejectsInvalidSettings(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.RegisterTaskDefinition("host", ecssim.WithHostPort(8080, "tcp"))
	d := w.startScheduler(unusedAddress)
	d.createEnvironment("existing")
	token := d.getEnvironment("existing").DeploymentToken
	list := func(n int, item string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	network := func(vpc string) string {
		return `"taskSettings":{"networkConfiguration":{"awsvpcConfiguration":` + vpc + `}}`
	}
	const onlyVPC = "taskSettings.networkConfiguration in body is only for task definitions with the network mode awsvpc"
	for name, tc := range map[string]struct{ field, want string }{
		"minimum below 0": {`"deploymentConfiguration":{"minimumHealthyPercent":-1}`,
			"deploymentConfiguration.minimumHealthyPercent in body should be greater than or equal to 0"},
		"minimum above 100": {`"deploymentConfiguration":{"minimumHealthyPercent":101}`,
			"deploymentConfiguration.minimumHealthyPercent in body should be less than or equal to 100"},
		"maximum below 100": {`"deploymentConfiguration":{"maximumPercent":99}`,
			"deploymentConfiguration.maximumPercent in body should be greater than or equal to 100"},
		"maximum above 200": {`"deploymentConfiguration":{"maximumPercent":201}`,
			"deploymentConfiguration.maximumPercent in body should be less than or equal to 200"},
		"static ports": {`"taskDefinition":"host","deploymentConfiguration":{"maximumPercent":150}`,
			"deploymentConfiguration.maximumPercent in body should be 100, " +
				"as tasks with static host ports cannot run side by side"},
		"bake time above a day": {`"deploymentConfiguration":{"bakeTimeInMinutes":1441}`,
			"deploymentConfiguration.bakeTimeInMinutes in body should be less than or equal to 1440"},
		"threshold 0": {`"deploymentConfiguration":{"deploymentCircuitBreaker":{"enable":true,"threshold":0}}`,
			"deploymentConfiguration.deploymentCircuitBreaker.threshold in body should be greater than or equal to 1"},
		"canary of all": {`"deploymentConfiguration":{"canary":{"percent":100}}`,
			"deploymentConfiguration.canary.percent in body should be less than or equal to 99"},
		"canary without percent and query": {`"deploymentConfiguration":{"canary":{}}`,
			"deploymentConfiguration.canary in body should have either percent, query or steps"},
		"invalid canary query": {`"deploymentConfiguration":{"canary":{"query":"x"}}`, `deploymentConfiguration.canary.query ` +
			`in body is invalid: column 1: "x" is not a subject: attribute:<name>, ec2InstanceId, agentConnected, ` +
			`agentVersion, capacityProviderName or registeredAt`},
		"invalid query": {`"instanceGroup":{"cluster":"` + prod + `","query":"attribute:a == b c"}`,
			`instanceGroup.query in body is invalid: column 18: "c" is not and, or or the end of the query`},
		"invalid attribute name": {`"instanceGroup":{"cluster":"` + prod + `","attributes":[{"name":"a b"}]}`,
			`instanceGroup.attributes.0.name in body should match '^[a-zA-Z0-9_.\\/-]+$'`},
		"attribute null": {`"instanceGroup":{"cluster":"` + prod + `","attributes":[null]}`,
			"instanceGroup.attributes.0 in body must not be null"},
		"17 subnets": {network(`{"subnets":` + list(17, `"s"`) + `}`),
			"taskSettings.networkConfiguration.awsvpcConfiguration.subnets in body should have at most 16 items"},
		"no subnets": {network(`{"subnets":[]}`),
			"taskSettings.networkConfiguration.awsvpcConfiguration.subnets in body should have at least 1 items"},
		"6 security groups": {network(`{"subnets":["s"],"securityGroups":` + list(6, `"g"`) + `}`),
			"taskSettings.networkConfiguration.awsvpcConfiguration.securityGroups in body should have at most 5 items"},
		"a public address": {network(`{"subnets":["s"],"assignPublicIp":"ENABLED"}`),
			"taskSettings.networkConfiguration.awsvpcConfiguration.assignPublicIp in body should be one of [DISABLED]"},
		"no awsvpc": {network(`{"subnets":["s"]}`), onlyVPC},
		"awsvpcConfiguration": {network(`null`),
			"taskSettings.networkConfiguration.awsvpcConfiguration in body is required"},
		"51 tags": {`"taskSettings":{"tags":` + list(51, `{"key":"a"}`) + `}`,
			"taskSettings.tags in body should have at most 50 items"},
		"a tag without key": {`"taskSettings":{"tags":[{"value":"a"}]}`, "taskSettings.tags.0.key in body is required"},
		"a long key": {`"taskSettings":{"tags":[{"key":"` + strings.Repeat("k", 129) + `"}]}`,
			"taskSettings.tags.0.key in body should be at most 128 chars long"},
		"a long value": {`"taskSettings":{"tags":[{"key":"k","value":"` + strings.Repeat("v", 257) + `"}]}`,
			"taskSettings.tags.0.value in body should be at most 256 chars long"},
		"tags null": {`"taskSettings":{"tags":[null]}`, "taskSettings.tags.0 in body must not be null"},
		"tags of a service": {`"taskSettings":{"propagateTags":"SERVICE"}`,
			"taskSettings.propagateTags in body should be one of [TASK_DEFINITION NONE]"},
		"override of an unknown container": {`"taskSettings":{"overrides":{"containerOverrides":[{"name":"x"}]}}`,
			"taskSettings.overrides.containerOverrides.0.name in body is not a container of the task definition"},
		"invalid readiness attribute": {`"readinessAttribute":"a b"`,
			`readinessAttribute in body should match '^[a-zA-Z0-9_.\\/-]*$'`},
		"reserved readiness attribute": {`"readinessAttribute":"ecs.ready"`,
			"readinessAttribute in body should not begin with ecs. or com.amazonaws., which are ECS's own"},
		"drain order": {`"drainOrder":1001`, "drainOrder in body should be less than or equal to 1000"},
		"scale-in below 0": {`"scaleInAfterMinutes":-1`,
			"scaleInAfterMinutes in body should be greater than or equal to 0"},
	} {
		t.Run(name, func(t *testing.T) {
			sub := *d
			w := *d.system
			w.t = t
			sub.system = &w
			want := "validation failure list:\n" + tc.want
			sub.mustReject(400, want, "PATCH", "/v1/environments/existing?deploymentToken="+token, "{"+tc.field+"}")
			body := `"name":"x",` + tc.field
			for _, required := range []string{`"taskDefinition":"agent"`, `"instanceGroup":{"cluster":"prod"}`} {
				if key, _, _ := strings.Cut(required, ":"); !strings.Contains(body, key) {
					body += "," + required
				}
			}
			sub.mustReject(400, want, "POST", "/v1/environments", "{"+body+"}")
		})
	}
	assert.EqualValues(t, 1, d.getEnvironment("existing").Revision, "a rejected request changes nothing")
}

// A caller's error is reported as such while ECS fails, if it does not depend on ECS.
func TestValidation_NeedsNoECSForSettingsAlone(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startScheduler(unusedAddress)
	d.createEnvironment("existing")
	token := d.getEnvironment("existing").DeploymentToken
	w.sim.SetFaults(ecssim.Faults{Refusals: map[string]ecssim.Refusal{"ecs": {Code: "AccessDeniedException", Fraction: 1}}})
	for field, want := range map[string]string{
		`"taskSettings":{"tags":[{"key":"aws:x"}]}`: "taskSettings.tags.0.key in body should not begin with aws:",
		`"readinessAttribute":"ecs.ready"`: "readinessAttribute in body should not begin with ecs. or com.amazonaws., " +
			"which are ECS's own",
		`"deploymentConfiguration":{"canary":{}}`: "deploymentConfiguration.canary in body should have either percent, " +
			"query or steps",
	} {
		want = "validation failure list:\n" + want
		d.mustReject(400, want, "PATCH", "/v1/environments/existing?deploymentToken="+token, "{"+field+"}")
		d.mustReject(400, want, "POST", "/v1/environments",
			`{"name":"x","taskDefinition":"agent","instanceGroup":{"cluster":"prod"},`+field+`}`)
	}
}

func TestPatch_MergesValidFields(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	_, retired := w.createInactive()
	d := w.startScheduler(unusedAddress)
	d.mustSend("POST", "/v1/environments", `{"name":"logs","taskDefinition":"agent",
		"instanceGroup":{"cluster":"prod","query":"attribute:a exists"},
		"ignored":"as v0.3 does","deploymentConfiguration":{"minimumHealthyPercent":0,"canary":{"percent":10}},"drainOrder":2,
		"taskSettings":{"group":"g","tags":[{"key":"a"}]}}`, nil)
	path := "/v1/environments/logs?deploymentToken="
	token := path + d.getEnvironment("logs").DeploymentToken
	failed := "validation failure list:\n"
	for body, want := range map[string]string{
		"":                   "The body is empty: an environment in JSON is required",
		"{":                  "The body is not JSON: unexpected EOF",
		"{}{}":               "The body is not JSON: unexpected data after the first value",
		"[]":                 "The body is not an environment: it must be an object",
		`{"drainOrder":"x"}`: "The body is not an environment: drainOrder must not be of type string",
		`{"colour":"red","name":"x"}`: failed +
			"colour in body is a forbidden property\nname in body is a forbidden property",
		`{"DrainOrder":3}`:                      failed + "DrainOrder in body is a forbidden property",
		`{"colour":null}`:                       failed + "colour in body is a forbidden property",
		`{"taskSettings":{"tags":[{"k":1}]}}`:   failed + "taskSettings.tags.0.k in body is a forbidden property",
		`{"taskDefinition":null}`:               failed + "taskDefinition in body is required",
		`{"instanceGroup":{"cluster":"other"}}`: failed + "instanceGroup.cluster in body cannot be changed",
	} {
		d.mustReject(400, want, "PATCH", token, body)
	}
	d.mustReject(404, `TaskDefinition "none" does not exist`, "PATCH", token, `{"taskDefinition":"none"}`)
	d.mustReject(404, "TaskDefinition is inactive", "PATCH", token, `{"taskDefinition":"`+retired+`"}`)
	d.mustReject(400, "the deploymentToken is missing", "PATCH", "/v1/environments/logs", "{}")
	d.mustReject(400, "the deploymentToken is not a lower-case UUID", "PATCH", path+"x", "{}")
	d.mustReject(409, "Token '"+unusedToken+"' is outdated", "PATCH", path+unusedToken, "{}")
	d.mustReject(404, "Environment none does not exist", "PATCH", "/v1/environments/none?deploymentToken="+unusedToken,
		"{}")

	same := d.patch("logs", "{}")
	assert.EqualValues(t, 1, same.Revision, "an update without a difference changes nothing")
	assert.Equal(t, "attribute:a exists", same.InstanceGroup.Query)
	assert.EqualValues(t, 0, *same.DeploymentConfiguration.MinimumHealthyPercent)
	e := d.patch("logs", `{"instanceGroup":{"cluster":"`+prod+`","query":null},
		"deploymentConfiguration":{"minimumHealthyPercent":null,"bakeTimeInMinutes":5},
		"drainOrder":null,"taskSettings":{"tags":[{"key":"b","value":"c"}]}}`)
	assert.Empty(t, e.InstanceGroup.Query)
	assert.EqualValues(t, 90, *e.DeploymentConfiguration.MinimumHealthyPercent, "null restores the default")
	assert.EqualValues(t, 5, *e.DeploymentConfiguration.BakeTimeInMinutes)
	assert.EqualValues(t, 10, *e.DeploymentConfiguration.Canary.Percent, "an omitted field keeps its value")
	assert.Nil(t, e.DrainOrder)
	assert.Equal(t, "g", e.TaskSettings.Group)
	assert.Len(t, e.TaskSettings.Tags, 1)
	e = d.patch("logs", `{"taskSettings":null,"deploymentConfiguration":null}`)
	assert.Nil(t, e.TaskSettings)
	assert.Nil(t, e.DeploymentConfiguration.Canary)
	assert.Equal(t, e, d.getEnvironment("logs"))
	var revisions models.Revisions
	d.mustSend("GET", "/v1/environments/logs/revisions", "", &revisions)
	assert.Len(t, revisions.Items, 3)
}

// Without cluster state, the API omits counts and instances, and everything else works.
func TestAPI_ReportsMissingClusterState(t *testing.T) {
	t.Parallel()
	d := newSystem(t).startScheduler(unusedAddress)
	e := d.createEnvironment("logs")
	assert.Nil(t, e.DesiredCount)
	const errorText = "The cluster state is stale"
	d.mustReject(503, errorText, "GET", "/v1/environments/logs/instances", "")
	path := "/v1/environments/logs/deployments?deploymentToken=" + e.DeploymentToken
	d.mustReject(503, errorText, "POST", path+"&dryRun=true", "")
	d.mustReject(400, `Invalid dryRun "yes": must be true or false`, "POST", path+"&dryRun=yes", "")
	assert.Empty(t, d.listDeployments("logs"))
	assert.Nil(t, d.getDeployment("logs", d.deploy(e)).RunningCount)
	for _, path := range []string{"/revisions", "/instances"} {
		d.mustReject(404, "Environment none does not exist", "GET", "/v1/environments/none"+path, "")
	}
	for _, path := range []string{"/pause", "/resume", "/rollback", "/deployments/x/stop", "/deployments/x/promote"} {
		d.mustReject(404, "Environment none does not exist", "POST", "/v1/environments/none"+path, "")
	}
}

// Two tasks that need the same host port cannot run on one instance, in whichever form their definition names it.
func TestValidation_RejectsSurgeOfStaticPorts(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startScheduler(unusedAddress)
	d.createEnvironment("existing")
	d.patch("existing", `{"deploymentConfiguration":{"maximumPercent":150}}`)
	created := 0 // environments
	const rejected = "validation failure list:\ndeploymentConfiguration.maximumPercent in body should be 100, as " +
		"tasks with static host ports cannot run side by side\n"
	for name, tc := range map[string]struct {
		mode      types.NetworkMode
		container int32
		host      *int32
		static    bool
	}{
		"bridge, static host port":       {types.NetworkModeBridge, 80, conv.Pointer[int32](8080), true},
		"bridge, dynamic host port":      {types.NetworkModeBridge, 80, conv.Pointer[int32](0), false},
		"bridge, no host port":           {types.NetworkModeBridge, 80, nil, false},
		"host, container port only":      {types.NetworkModeHost, 80, nil, true},
		"host, both ports":               {types.NetworkModeHost, 80, conv.Pointer[int32](80), true},
		"host, no ports":                 {types.NetworkModeHost, 0, nil, false},
		"awsvpc":                         {types.NetworkModeAwsvpc, 80, conv.Pointer[int32](80), false},
		"default mode, static host port": {"", 80, conv.Pointer[int32](80), true},
	} {
		t.Run(name, func(t *testing.T) {
			container := types.ContainerDefinition{
				Name: conv.Pointer("c"), Image: conv.Pointer("image"), Memory: conv.Pointer[int32](64),
			}
			if tc.container != 0 {
				container.PortMappings = []types.PortMapping{{ContainerPort: &tc.container, HostPort: tc.host}}
			}
			registered, err := w.ecs().RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
				Family: conv.Pointer("ports"), NetworkMode: tc.mode, ContainerDefinitions: []types.ContainerDefinition{container},
			})
			require.NoError(t, err)
			settings := "null"
			if tc.mode == types.NetworkModeAwsvpc {
				settings = `{"networkConfiguration":{"awsvpcConfiguration":{"subnets":["s"]}}}`
			}
			wanted := fmt.Sprintf(`"taskDefinition":%q,"taskSettings":%s`, *registered.TaskDefinition.TaskDefinitionArn, settings)
			create := func(percent int) (int, string) {
				created++
				answer, text := d.sendValid("POST", "/v1/environments", fmt.Sprintf(
					`{"name":"ports-%d","instanceGroup":{"cluster":"prod"},"deploymentConfiguration":{"maximumPercent":%d},%s}`,
					created, percent, wanted))
				return answer.StatusCode, text
			}
			status, _ := create(100)
			assert.Equal(t, 200, status)
			status, text := create(101)
			patched, patchText := d.sendValid("PATCH", "/v1/environments/existing?deploymentToken="+
				d.getEnvironment("existing").DeploymentToken, "{"+wanted+"}")
			if tc.static {
				assert.Equal(t, []any{400, rejected, 400, rejected}, []any{status, text, patched.StatusCode, patchText})
				return
			}
			assert.Equal(t, []any{200, 200}, []any{status, patched.StatusCode}, text+patchText)
		})
	}
}

func TestUpdate_DryRunChangesNothing(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 2)
	d := w.startServices()
	d.awaitCompleted("logs", d.deploy(d.createEnvironment("logs")))
	second := w.sim.RegisterTaskDefinition("agent")
	made, record := d.getEnvironment("logs"), w.record("logs")
	path := "/v1/environments/logs?dryRun=true&deploymentToken=" + made.DeploymentToken
	dryRun := func(body string) (e models.Environment) {
		d.mustSend("PATCH", path, body, &e)
		return e
	}

	planned := dryRun(`{"taskDefinition":"agent:2","drainOrder":4}`)
	assert.Equal(t, second, planned.TaskDefinition)
	assert.EqualValues(t, 2, planned.Revision)
	assert.EqualValues(t, 4, *planned.DrainOrder)
	assert.Empty(t, planned.DeploymentToken, "there is nothing to deploy")
	same := dryRun(`{"taskDefinition":"agent:1"}`)
	assert.EqualValues(t, 1, same.Revision)
	assert.Equal(t, made.DeploymentToken, same.DeploymentToken)
	d.mustReject(404, "TaskDefinition \"agent:9\" does not exist", "PATCH", path, `{"taskDefinition":"agent:9"}`)
	d.mustReject(400, `Invalid dryRun "yes": must be true or false`, "PATCH",
		strings.Replace(path, "true", "yes", 1), `{"taskDefinition":"agent:2"}`)

	assert.Equal(t, record, w.record("logs"))
	after := d.getEnvironment("logs")
	assert.EqualValues(t, 1, after.Revision)
	assert.EqualValues(t, 2, *after.UpdatedCount, "the planned revision is not counted")
}
