package state

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
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
	assert.Equal(t, int32(8125), task.Containers[0].NetworkBindings[0].HostPort)
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
	assert.Equal(t, NetworkBinding{"0.0.0.0", 80, 8080, "tcp"}, task.Containers[0].NetworkBindings[0])
	assert.Equal(t, []Environment{{"K", "V"}}, task.Overrides.ContainerOverrides[0].Environment)
	assert.True(t, task.LastChanged().IsZero(), "such a record contains no time")
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
		"2048":    {Type: "INTEGER", IntegerValue: 2048, LongValue: 1},
		"9":       {Type: "LONG", LongValue: 9, IntegerValue: 1},
		"1.50":    {Type: "DOUBLE", DoubleValue: 1.5},
		"22,2375": {Type: "STRINGSET", StringSetValue: []string{"22", "2375"}},
		"":        {Type: "STRINGSET"},
	} {
		assert.Equal(t, want, r.Value(), "%+v", r)
	}
	assert.Empty(t, Resource{Type: "NEW", IntegerValue: 1}.Value())
}

func TestEquivalent_IgnoresOrderAndPrecision(t *testing.T) {
	instance, err := DecodeInstance(testenv.Event(t, "instance-active.json"))
	require.NoError(t, err)
	other, err := DecodeInstance(testenv.Event(t, "instance-active.json"))
	require.NoError(t, err)
	other.Attributes[0], other.Attributes[4] = other.Attributes[4], other.Attributes[0]
	other.RemainingResources[0], other.RemainingResources[2] = other.RemainingResources[2], other.RemainingResources[0]
	other.RegisteredResources[3].StringSetValue = nil
	other.UpdatedAt, other.RecordedAt = "", ""
	assert.True(t, instance.Equivalent(other), "order and empty sets do not matter")
	other.Attributes[0].Value = "test"
	assert.False(t, instance.Equivalent(other), "an attribute's value matters")

	task, err := DecodeTask(testenv.Event(t, "task-ec2-running.json"))
	require.NoError(t, err)
	fromECS := task
	fromECS.StartedAt = "2026-03-04T10:15:29.440Z"
	assert.True(t, task.Equivalent(fromECS), "the precision of times does not matter")
	zero := int32(0)
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

func TestParseStatus_AcceptsEveryStatusInAnyCase(t *testing.T) {
	for _, s := range []string{
		"running", "Stopped", "PENDING", "provisioning", "ACTIVATING", "deactivating", "stopping", "deprovisioning",
		"deleted",
	} {
		status, err := ParseStatus(KindTask, s)
		require.NoError(t, err)
		assert.Equal(t, strings.ToUpper(s), status)
	}
	for _, s := range []string{"active", "INACTIVE", "draining", "registering", "REGISTRATION_FAILED", "deregistering"} {
		_, err := ParseStatus(KindInstance, s)
		require.NoError(t, err)
		_, err = ParseStatus(KindTask, s)
		assert.ErrorIs(t, err, ErrInvalidStatus, "%s is not a task status", s)
	}
	status, err := ParseStatus(KindTask, "")
	require.NoError(t, err)
	assert.Empty(t, status)
	for _, s := range []string{" ", "run", "running,stopped", "ACTIVE"} {
		_, err := ParseStatus(KindTask, s)
		assert.ErrorIs(t, err, ErrInvalidStatus, "%q", s)
	}
}

func TestClusterFilter_MatchesNameOrARN(t *testing.T) {
	for name, tc := range map[string]struct {
		given string
		want  bool
	}{
		"none":            {"", true},
		"name":            {"prod", true},
		"another name":    {"test", false},
		"ARN":             {prod, true},
		"another region":  {"arn:aws:ecs:us-east-1:123456789012:cluster/prod", false},
		"another account": {"arn:aws:ecs:eu-west-1:000000000000:cluster/prod", false},
		"another case":    {"Prod", false},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := ParseClusterFilter(tc.given)
			require.NoError(t, err)
			key := Key{Kind: KindTask, Cluster: "prod", ARN: "arn:aws:ecs:eu-west-1:123456789012:task/1"}
			assert.Equal(t, tc.want, f.Matches(key))
		})
	}
	for _, bad := range []string{
		"a b", "arn:aws:ecs:eu-west-1:123456789012:task/1", "arn:aws:ecs", "a/b", strings.Repeat("x", 256),
	} {
		_, err := ParseClusterFilter(bad)
		assert.ErrorIs(t, err, ErrInvalidCluster, "%.20q", bad)
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

func FuzzParseFilter(f *testing.F) {
	for _, seed := range []string{
		"", "status=running&cluster=prod&startedBy=x", "cluster=" + prod,
		"desiredStatus=Stopped&launchType=fargate&family=agent", "taskDefinition=agent:12",
		"attribute=stack:prod&agentConnected=true&ec2InstanceId=i-1", "attribute=:", "agentConnected=yes", "status=\xff",
		"status=ſtopped", "containerInstance=/",
	} {
		f.Add(seed)
	}
	task, err := DecodeTask(testenv.Event(f, "task-ec2-running.json"))
	require.NoError(f, err)
	instance, err := DecodeInstance(testenv.Event(f, "instance-active.json"))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, raw string) {
		query, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		for _, kind := range []Kind{KindTask, KindInstance} {
			filter, err := ParseFilter(kind, query.Get)
			if err != nil {
				continue
			}
			_ = filter.MatchesTask(&task)
			_ = filter.MatchesInstance(&instance)
			read := map[string]string{
				"status": filter.Status, "cluster": cmp.Or(filter.Cluster.ARN, filter.Cluster.Name),
				"startedBy": filter.StartedBy, "desiredStatus": filter.DesiredStatus,
				"family": filter.Family, "taskDefinition": filter.TaskDefinition,
				"containerInstance": filter.ContainerInstance, "launchType": filter.LaunchType,
				"attribute": filter.Attribute, "ec2InstanceId": filter.EC2InstanceID, "agentConnected": filter.AgentConnected,
			}
			again, err := ParseFilter(kind, func(name string) string { return read[name] })
			if err != nil || again != filter {
				t.Errorf("%q: %+v, read again %+v, %v", raw, filter, again, err)
			}
		}
	})
}
