package state

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

const prod = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"

func TestDecodeTask_ReadsEvents(t *testing.T) {
	task, err := DecodeTask(testenv.Event(t, "task-ec2-stopped.json"))
	require.NoError(t, err)
	assert.Equal(t, "arn:aws:ecs:eu-west-1:123456789012:task/prod/1a2b3c4d5e6f47889900aabbccddeeff", task.ARN)
	assert.Equal(t, int64(6), task.Version)
	assert.Equal(t, "STOPPED", task.LastStatus)
	require.Len(t, task.Containers, 1)
	require.NotNil(t, task.Containers[0].ExitCode, "0 is an exit code")
	assert.Equal(t, int64(8125), task.Containers[0].NetworkBindings[0].HostPort)
	assert.Equal(t, []Environment{{"TIER", "prod"}}, task.Overrides.ContainerOverrides[0].Environment)
	assert.Equal(t, time.Date(2026, 3, 4, 11, 0, 2, 500e6, time.UTC), task.LastChanged())

	running, err := DecodeTask(testenv.Event(t, "task-ec2-running.json"))
	require.NoError(t, err)
	assert.Nil(t, running.Containers[0].ExitCode, "none yet")

	fargate, err := DecodeTask(testenv.Event(t, "task-fargate-running.json"))
	require.NoError(t, err)
	assert.Empty(t, fargate.ContainerInstanceARN)

	short, err := DecodeTask(testenv.Event(t, "task-short-arn-2017.json"))
	require.NoError(t, err)
	key, err := short.Key()
	require.NoError(t, err)
	assert.Equal(t, "ecs/task/default/arn:aws:ecs:us-east-1:123456789012:task/b99d40b3-5176-4f71-9a52-9dbd6f1cebef",
		key.String())
}

// v0.3 stored tasks read from ECS with some capitalized keys, and with null for the other fields of the envelope.
func TestDecodeTask_MatchesKeysInAnyCase(t *testing.T) {
	body := `{"id":null,"account":null,"time":null,"Detail":{"clusterArn":"` + prod + `","containerInstanceArn":"x",
		"taskArn":
		"arn:aws:ecs:eu-west-1:123456789012:task/1","lastStatus":"RUNNING","version":7,"containers":[{"Name":"a",
		"Reason":"why",
		"networkBindings":[{"ContainerPort":80,"HostPort":8080,"Protocol":"tcp","bindIP":"0.0.0.0"}]}],
		"overrides":{"containerOverrides":[{"Name":"a","Environment":[{"Name":"K","Value":"V"}]}]}}}`
	task, err := DecodeTask([]byte(body))
	require.NoError(t, err)
	assert.Equal(t, int64(7), task.Version)
	assert.Equal(t, "why", task.Containers[0].Reason)
	binding := NetworkBinding{BindIP: "0.0.0.0", ContainerPort: 80, HostPort: 8080, Protocol: "tcp"}
	assert.Equal(t, binding, task.Containers[0].NetworkBindings[0])
	assert.Equal(t, []Environment{{"K", "V"}}, task.Overrides.ContainerOverrides[0].Environment)
	assert.True(t, task.LastChanged().IsZero(), "such a record contains no time")
}

// Windows reports exit codes as unsigned 32-bit numbers. ECS's API, and recent agents, wrap them.
func TestDecodeTask_AcceptsExitCodesBeyondInt32(t *testing.T) {
	withExitCode := func(code string) Task {
		task, err := DecodeTask(testenv.Event(t, "task-ec2-stopped.json", `"exitCode": 0`, `"exitCode": `+code))
		require.NoError(t, err)
		return task
	}
	unsigned := withExitCode("3221225786")
	require.NotNil(t, unsigned.Containers[0].ExitCode)
	assert.Equal(t, int64(3221225786), *unsigned.Containers[0].ExitCode)
	assert.Equal(t, "STOPPED", unsigned.LastStatus)
	assert.True(t, unsigned.Equivalent(withExitCode("-1073741510")), "the wrapped form of the same code")
	assert.False(t, unsigned.Equivalent(withExitCode("-1073741511")))
	assert.False(t, withExitCode("0").Equivalent(withExitCode("null")))
}

func TestDecodeTask_RejectsRecordsWithoutIdentity(t *testing.T) {
	withARNs := func(task string) string {
		return fmt.Sprintf(`{"detail":{"clusterArn":%q,"taskArn":%q}}`, prod, task)
	}
	for name, body := range map[string]string{
		"no JSON":            "x",
		"no object":          "[]",
		"empty":              "{}",
		"null detail":        `{"detail":null}`,
		"detail of a string": `{"detail":"x"}`,
		"no task ARN":        `{"detail":{"clusterArn":"` + prod + `"}}`,
		"no cluster":         `{"detail":{"taskArn":"arn:aws:ecs:eu-west-1:123456789012:task/1"}}`,
		"an instance's ARN":  withARNs("arn:aws:ecs:eu-west-1:123456789012:container-instance/1"),
		"another region":     withARNs("arn:aws:ecs:us-east-1:123456789012:task/1"),
		"another cluster":    withARNs("arn:aws:ecs:eu-west-1:123456789012:task/other/1"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeTask([]byte(body))
			assert.Error(t, err)
		})
	}
}

func TestResource_ValueFormatsByType(t *testing.T) {
	for want, r := range map[string]Resource{
		"2048":    {Type: "INTEGER", IntegerValue: new(int64(2048)), LongValue: new(int64(1))},
		"0":       {Type: "INTEGER", IntegerValue: new(int64(0))},
		"9":       {Type: "LONG", LongValue: new(int64(9)), IntegerValue: new(int64(1))},
		"1.50":    {Type: "DOUBLE", DoubleValue: new(1.5)},
		"22,2375": {Type: "STRINGSET", StringSetValue: []string{"22", "2375"}},
		"":        {Type: "STRINGSET"},
	} {
		assert.Equal(t, want, r.Value(), "%+v", r)
	}
	for _, r := range []Resource{
		{Type: "NEW", IntegerValue: new(int64(1))},
		{Type: "INTEGER"}, {Type: "LONG", IntegerValue: new(int64(1))}, {Type: "DOUBLE"}, {Type: "STRINGSET"},
	} {
		assert.Empty(t, r.Value(), "%+v", r)
	}
}

func TestEquivalent_IgnoresOrderAndPrecision(t *testing.T) {
	instance, err := DecodeInstance(testenv.Event(t, "instance-active.json"))
	require.NoError(t, err)
	other, err := DecodeInstance(testenv.Event(t, "instance-active.json"))
	require.NoError(t, err)
	other.Attributes[0], other.Attributes[4] = other.Attributes[4], other.Attributes[0]
	other.RemainingResources[0], other.RemainingResources[2] = other.RemainingResources[2], other.RemainingResources[0]
	other.RegisteredResources[3].StringSetValue = nil
	other.RegisteredResources[0].LongValue = new(int64(0))
	other.UpdatedAt, other.RecordedAt = "", ""
	assert.True(t, instance.Equivalent(other), "order and empty values do not matter")
	other.Attributes[0].Value = "test"
	assert.False(t, instance.Equivalent(other), "an attribute's value matters")

	task, err := DecodeTask(testenv.Event(t, "task-ec2-running.json"))
	require.NoError(t, err)
	fromECS := task
	fromECS.StartedAt = "2026-03-04T10:15:29.440Z"
	assert.True(t, task.Equivalent(fromECS), "the precision of times does not matter")
	zero := int64(0)
	fromECS.Containers = []Container{task.Containers[0]}
	fromECS.Containers[0].ExitCode = &zero
	assert.False(t, task.Equivalent(fromECS), "an exit code of 0 differs from none")
}

func TestParseKey_AcceptsOnlyEntityKeys(t *testing.T) {
	for _, s := range []string{
		"ecs/task/prod/arn:aws:ecs:eu-west-1:123456789012:task/prod/1",
		"ecs/instance/prod/arn:aws:ecs:eu-west-1:123456789012:container-instance/1",
	} {
		key, err := ParseKey(s)
		require.NoError(t, err)
		assert.Equal(t, s, key.String())
		assert.Equal(t, prod, key.ClusterARN())
	}
	for _, s := range []string{
		"", "ecs/task/", "ecs/task/prod", "ecs/task/prod/", "ecs/task//x", "ecs/environment/x", "ecs/deleted/task/x",
	} {
		_, err := ParseKey(s)
		assert.Error(t, err, s)
	}
}

// FuzzDecode compares the decoders with encoding/json.
func FuzzDecode(f *testing.F) {
	for _, body := range testenv.Events(f) {
		f.Add(body)
	}
	f.Add([]byte(`{"detail":{"clusterArn":"` + prod + `","taskArn":"arn:aws:ecs:eu-west-1:123456789012:task/1"}}`))
	f.Add([]byte(`{"detail":{"clusterArn":"` + prod + `",` +
		`"containerInstanceArn":"arn:aws:ecs:eu-west-1:123456789012:container-instance/prod/1"}}`))
	f.Add([]byte(`{"Detail":{"clusterARN":"` + prod + `","TaskArn":"arn:aws:ecs:eu-west-1:123456789012:task/1",` +
		`"containers":[{"Reason":"\xff","ExitCode":null,` +
		`"NetworkBindings":[{"ContainerPort":80,"HostPort":0,"Protocol":null}]}],` +
		`"overrides":{"containerOverrides":[{"Environment":[{"Name":"a","Value":"b"}]}]}},"time":null}`))
	f.Add([]byte(`{"detail":{"version":1e3}}`))
	f.Add([]byte(`{"detail":{"version":1},"detail":{"status":"ACTIVE"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		checkDecode(t, body, DecodeTask, Task.Key, Task.Equivalent, func(task *Task, at string) { task.RecordedAt = at })
		checkDecode(t, body, DecodeInstance, Instance.Key, Instance.Equivalent,
			func(i *Instance, at string) { i.RecordedAt = at })
	})
}

func checkDecode[T any](
	t *testing.T, body []byte, decode func([]byte) (T, error), key func(T) (Key, error),
	same func(a, b T) bool, recorded func(*T, string),
) {
	t.Helper()
	var want struct {
		Time   string
		Detail *T
	}
	wrong := json.Unmarshal(body, &want)
	got, err := decode(body)
	if err != nil {
		if wrong != nil || want.Detail == nil {
			return
		}
		if _, nameless := key(*want.Detail); nameless == nil {
			t.Fatalf("rejected, unlike encoding/json: %v: %q", err, body)
		}
		return
	}
	if wrong != nil || want.Detail == nil {
		t.Fatalf("accepted, unlike encoding/json: %v: %q", wrong, body)
	}
	recorded(want.Detail, want.Time)
	if !reflect.DeepEqual(*want.Detail, got) {
		t.Fatalf("%+v, and by encoding/json %+v: %q", got, *want.Detail, body)
	}
	k, err := key(got)
	if err != nil || k.ARN == "" || k.Cluster == "" {
		t.Fatalf("accepted without identity: %q", body)
	}
	if parsed, err := ParseKey(k.String()); err != nil || parsed != k || k.ClusterARN() == "" {
		t.Fatalf("key %q is read as %+v, %v", k, parsed, err)
	}
	if !same(got, got) {
		t.Fatalf("differs from itself: %q", body)
	}
	again, err := json.Marshal(map[string]any{"time": want.Time, "detail": got})
	if err != nil {
		t.Fatal(err)
	}
	if back, err := decode(again); err != nil || !reflect.DeepEqual(back, got) {
		t.Fatalf("%s decodes to %+v, %v", again, back, err)
	}
}
