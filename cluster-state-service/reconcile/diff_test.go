package reconcile

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/testenv"
)

var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func instanceAt(version int64, recorded time.Time, attribute string) state.Instance {
	return state.Instance{
		ARN: "arn:aws:ecs:eu-west-1:123456789012:container-instance/prod/1", ClusterARN: "arn:aws:ecs:eu-west-1:123456789012:cluster/prod",
		Version: version, Status: "ACTIVE", Attributes: []state.Attribute{{Name: "stack", Value: attribute}}, RecordedAt: recorded.Format(time.RFC3339),
	}
}

func TestDiff(t *testing.T) {
	key, err := instanceAt(1, now, "").Key()
	require.NoError(t, err)
	present := func(version int64, attribute string, inactive bool) []found[state.Instance] {
		return []found[state.Instance]{{key: key, entity: instanceAt(version, now, attribute), version: version, value: []byte("new"), inactive: inactive}}
	}
	const revision = 7
	put := []state.Correction{{Key: key, Value: []byte("new"), Revision: revision}}
	remove := []state.Correction{{Key: key, Revision: revision}}
	old, young := now.Add(-6*time.Minute), now.Add(-4*time.Minute)
	for name, tc := range map[string]struct {
		stored  *state.Instance
		present []found[state.Instance]
		gone    []state.Key
		want    []state.Correction
	}{
		"nothing anywhere":                  {},
		"unknown to the store":              {nil, present(3, "blue", false), nil, []state.Correction{{Key: key, Value: []byte("new")}}},
		"the same":                          {ptr(instanceAt(3, old, "blue")), present(3, "blue", false), nil, nil},
		"newer at ECS":                      {ptr(instanceAt(3, old, "blue")), present(4, "blue", false), nil, put},
		"newer in the store":                {ptr(instanceAt(5, old, "green")), present(4, "blue", false), nil, nil},
		"changed without a version":         {ptr(instanceAt(3, old, "blue")), present(3, "green", false), nil, put},
		"gone":                              {ptr(instanceAt(3, old, "")), nil, []state.Key{key}, remove},
		"gone, but stored just now":         {ptr(instanceAt(3, young, "")), nil, []state.Key{key}, nil},
		"gone, and not stored either":       {nil, nil, []state.Key{key}, nil},
		"gone, and nobody knows how old":    {ptr(instanceAt(3, time.Time{}, "")), nil, []state.Key{key}, remove},
		"inactive":                          {ptr(instanceAt(3, old, "")), present(4, "", true), nil, remove},
		"inactive just now":                 {ptr(instanceAt(3, young, "")), present(4, "", true), nil, put},
		"inactive and unknown to the store": {nil, present(4, "", true), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			stored := cache.NewInstances()
			if tc.stored != nil {
				stored.Put(&cache.Entry[state.Instance]{Key: key.String(), Entity: *tc.stored, Version: tc.stored.Version, Revision: revision})
			}
			assert.Equal(t, tc.want, Diff(stored, tc.present, tc.gone, now))
		})
	}
}

func ptr[T any](v T) *T { return &v }

// What Describe returns is stored as the event of the same moment would be, so both are read alike.
func TestEncodeGivesTheFormOfEvents(t *testing.T) {
	want, err := state.DecodeTask(testenv.Event(t, "task-ec2-stopped.json"))
	require.NoError(t, err)
	at := func(s string) *time.Time {
		at, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return &at
	}
	container := want.Containers[0]
	described := types.Task{
		TaskArn: &want.ARN, ClusterArn: &want.ClusterARN, ContainerInstanceArn: &want.ContainerInstanceARN, TaskDefinitionArn: &want.TaskDefinitionARN,
		LastStatus: &want.LastStatus, DesiredStatus: &want.DesiredStatus, StartedBy: &want.StartedBy, LaunchType: types.LaunchTypeEc2, Version: 6,
		CreatedAt: at("2026-03-04T10:15:20.902Z"), StartedAt: at("2026-03-04T10:15:29.44Z"), StoppedAt: at("2026-03-04T11:00:02.5Z"),
		StoppedReason: &want.StoppedReason, StopCode: types.TaskStopCodeEssentialContainerExited,
		Containers: []types.Container{{
			ContainerArn: &container.ARN, Name: &container.Name, LastStatus: &container.LastStatus, ExitCode: aws.Int32(0),
			NetworkBindings: []types.NetworkBinding{{BindIP: aws.String("0.0.0.0"), ContainerPort: aws.Int32(8125), HostPort: aws.Int32(8125), Protocol: types.TransportProtocolUdp}},
		}},
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{
			Name: aws.String("agent"), Environment: []types.KeyValuePair{{Name: aws.String("TIER"), Value: aws.String("prod")}},
		}}},
	}
	body, err := encode("ECS Task State Change", want.ARN, described, nil, now)
	require.NoError(t, err)
	got, err := state.DecodeTask(body)
	require.NoError(t, err)
	assert.True(t, got.Equivalent(want), "%+v\n%+v", got, want)
	assert.Equal(t, int64(6), got.Version)
	assert.Equal(t, "2026-03-04T10:15:29.440Z", got.StartedAt)
	assert.Equal(t, now, got.LastChanged(), "the time of asking")

	var envelope map[string]any
	require.NoError(t, json.Unmarshal(body, &envelope))
	assert.Equal(t, "aws.ecs", envelope["source"])
	assert.Equal(t, "123456789012", envelope["account"])
	assert.Equal(t, "eu-west-1", envelope["region"])
	assert.Equal(t, []any{want.ARN}, envelope["resources"])
	assert.Equal(t, "EssentialContainerExited", envelope["detail"].(map[string]any)["stopCode"], "what Blox does not read is kept")
	assert.NotContains(t, envelope["detail"], "healthStatus", "what the API did not send is left out")
}

func TestEncodeKeepsFalseAndZero(t *testing.T) {
	arn := "arn:aws:ecs:eu-west-1:123456789012:container-instance/prod/1"
	body, err := encode("ECS Container Instance State Change", arn, types.ContainerInstance{
		ContainerInstanceArn: &arn, Status: aws.String("ACTIVE"), Version: 2,
		RegisteredResources: []types.Resource{{Name: aws.String("CPU"), Type: aws.String("INTEGER"), IntegerValue: 2048}},
		Attributes:          []types.Attribute{{Name: aws.String("x")}},
	}, map[string]any{"clusterArn": "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"}, now)
	require.NoError(t, err)
	assert.Contains(t, string(body), `"agentConnected":false`)
	instance, err := state.DecodeInstance(body)
	require.NoError(t, err)
	assert.Equal(t, "2048", instance.RegisteredResources[0].Value())
	assert.Equal(t, []state.Attribute{{Name: "x"}}, instance.Attributes)
}

func TestPages(t *testing.T) {
	all, err := pages(func(token *string) ([]string, *string, error) {
		switch {
		case token == nil:
			return []string{"a"}, aws.String("1"), nil
		case *token == "1":
			return []string{"b"}, aws.String("2"), nil
		}
		return []string{"c"}, nil, nil
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b", "c"}, all)
	_, err = pages(func(*string) ([]string, *string, error) { return nil, aws.String("again"), nil })
	assert.Error(t, err, "a token that leads nowhere")
}

func TestHorizon(t *testing.T) {
	at := func(minutes int, revision, changes int64) sample {
		return sample{now.Add(time.Duration(minutes) * time.Minute), revision, changes}
	}
	for name, tc := range map[string]struct {
		samples []sample
		want    int64
		left    int
	}{
		"too early":            {[]sample{at(0, 10, 0), at(4, 20, 10)}, 0, 2},
		"five minutes later":   {[]sample{at(0, 10, 0), at(4, 20, 10), at(5, 30, 20)}, 10, 3},
		"ten minutes later":    {[]sample{at(0, 10, 0), at(4, 20, 10), at(10, 30, 20)}, 20, 2},
		"much in a short time": {[]sample{at(0, 10, 0), at(1, 20, 200_000), at(2, 30, 400_000)}, 10, 3},
		"more than that":       {[]sample{at(0, 10, 0), at(1, 20, 50_000), at(2, 30, 400_000)}, 20, 2},
	} {
		t.Run(name, func(t *testing.T) {
			until, left := horizon(tc.samples, 5*time.Minute)
			assert.Equal(t, tc.want, until)
			assert.Len(t, left, tc.left)
		})
	}
}
