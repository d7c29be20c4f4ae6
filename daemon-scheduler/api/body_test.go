package api

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// Without limits, the errors of these bodies would have gigabytes.
func TestReadBody_LimitsTheErrorOfAnInvalidBody(t *testing.T) {
	many := strings.Repeat("null,", 50_000) + "null"
	for name, body := range map[string]string{
		"deeply nested nulls": strings.Repeat(`{"`+strings.Repeat("a", 95)+`":`, 4000) +
			"[" + many + "]" + strings.Repeat("}", 4000),
		"nulls in lists":  strings.Repeat("[", 5000) + many + strings.Repeat("]", 5000),
		"a list of nulls": `{"taskSettings":{"tags":[` + many + `]}}`,
		"unknown fields": `{"taskSettings":{"overrides":{"containerOverrides":[` +
			strings.Repeat(`{"a":1},`, 50_000) + `{}]}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readRequest(strings.NewReader(body), asGiven)
			require.ErrorIs(t, err, errInvalid)
			assert.Less(t, len(err.Error()), 32<<10)
			_, err = readPatch(strings.NewReader(body), environment.New("logs", "arn:cluster", "arn:td:1", "token"))
			require.ErrorIs(t, err, errInvalid)
			assert.Less(t, len(err.Error()), 32<<10)
		})
	}
	const required = `"name":"a","taskDefinition":"b","instanceGroup":{"cluster":"c"}`
	_, err := readRequest(strings.NewReader(`{`+required+`,"x":[`+many+`]}`), asGiven)
	require.ErrorIs(t, err, errInvalid)
	assert.Equal(t, maxFailures+2, len(strings.Split(err.Error(), "\n")))
	assert.Contains(t, err.Error(), "x.19 in body must not be null\nand more")
}

// assertInvalid fails the test unless err is a short error for the client.
func assertInvalid(t *testing.T, body string, err error) {
	t.Helper()
	if !errors.Is(err, errInvalid) || err.Error() == "" || len(err.Error()) > 32<<10 {
		t.Fatalf("%.1000q: %v", body, err)
	}
}

func FuzzReadRequest(f *testing.F) {
	const named = `"name":"logs","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"`
	for _, seed := range []string{
		`{` + named + `}`,
		`{` + named + `,"drainOrder":7,"scaleInAfterMinutes":5,"readinessAttribute":"blox.ready"}`,
		`{` + named + `}{}`,
		`{"NAME":"x"}`,
		`null`,
		`[]`,
		``,
		`{` + named + `,"deploymentConfiguration":{"minimumHealthyPercent":0,"maximumPercent":150,"bakeTimeInMinutes":1,` +
			`"canary":{"query":"agentConnected == true"},"deploymentCircuitBreaker":{"enable":true}}}`,
		`{` + named + `,"taskSettings":{"networkConfiguration":{"awsvpcConfiguration":{"subnets":["s"],` +
			`"securityGroups":[],"assignPublicIp":"DISABLED"}},"tags":[{"key":"a"}],` +
			`"overrides":{"cpu":"1","containerOverrides":[{"name":"a","cpu":1,"command":["x"],` +
			`"environment":[{"name":"A"}],"resourceRequirements":[{"type":"GPU","value":"1"}],` +
			`"environmentFiles":[{"type":"s3","value":"arn"}]}]}}}`,
		`{` + named + `,"taskSettings":{"networkConfiguration":{}}}`,
		`{` + named + `,"instanceGroup":{"cluster":"a","attributes":[{"name":"a","value":"b"}],"query":"x"}}`,
		`{` + named + `,"x":[null]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		request, err := readRequest(strings.NewReader(body), asGiven)
		if err != nil {
			assertInvalid(t, body, err)
			return
		}
		if !environment.IsName(*request.Name) || request.InstanceGroup.Cluster == "" || *request.TaskDefinition == "" {
			t.Fatalf("%q: a required field is empty", body)
		}
		spec := specFromRequest(&models.UpdateEnvironmentRequest{
			TaskDefinition:          *request.TaskDefinition,
			DeploymentConfiguration: request.DeploymentConfiguration,
			TaskSettings:            request.TaskSettings,
			InstanceGroup: &models.InstanceGroupUpdate{
				Attributes: request.InstanceGroup.Attributes, Query: request.InstanceGroup.Query,
			},
		})
		_ = spec.Validate(&environment.TaskDefinition{})
		e := environment.Create(*request.Name, "arn:cluster", "token", spec, time.Time{})
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		var stored environment.Environment
		if err := json.Unmarshal(data, &stored); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
	})
}

func FuzzReadPatch(f *testing.F) {
	for _, seed := range []string{
		`{}`,
		`{"taskDefinition":"agent:2"}`,
		`{"instanceGroup":{"query":null,"attributes":[{"name":"a"}]}}`,
		`{"taskSettings":{"tags":[null]}}`,
		`{"deploymentConfiguration":{"canary":{"percent":5}}}`,
		`{"TaskDefinition":"x"}`,
		`[]`,
		`null`,
		`{"drainOrder":1e400}`,
		`{"a":{"b":[{}]}}`,
		`{"taskSettings":{"networkConfiguration":{"awsvpcConfiguration":{"subnets":[null]}}}}`,
		`{"taskSettings":{"overrides":{"containerOverrides":[{"cpu":1e99}]}}}`,
		`{"deploymentConfiguration":null,"taskSettings":null}`,
		`{"instanceGroup":{"cluster":"arn:cluster"},"scaleInAfterMinutes":1}`,
		`{"taskSettings":{"group":"a","overrides":{}}}`,
	} {
		f.Add(seed)
	}
	e := environment.New("logs", "arn:cluster", "arn:td:1", "token")
	f.Fuzz(func(t *testing.T, body string) {
		request, err := readPatch(strings.NewReader(body), e)
		if err != nil {
			assertInvalid(t, body, err)
			return
		}
		spec := specFromRequest(request)
		if spec.TaskDefinition == "" {
			t.Fatalf("%q: no task definition", body)
		}
		_ = spec.Validate(&environment.TaskDefinition{})
		patched := environment.Create("logs", "arn:cluster", "token", spec, time.Time{})
		repeated, err := readPatch(strings.NewReader(body), patched)
		if err != nil {
			t.Fatalf("%q: patched, a second patch fails: %v", body, err)
		}
		if second := specFromRequest(repeated); storedForm(t, spec) != storedForm(t, second) {
			t.Fatalf("%q: %+v, and patched again %+v", body, spec, second)
		}
	})
}

// storedForm returns the JSON of s, in which an absent and an empty list are equal.
func storedForm(t *testing.T, s environment.Spec) string {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func asGiven(*models.CreateEnvironmentRequest) error { return nil }
