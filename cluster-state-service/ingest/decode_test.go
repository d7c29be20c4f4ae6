package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDecode_AcceptsEventsOfECS(t *testing.T) {
	const arn = "arn:aws:ecs:eu-west-1:123456789012:"
	task := func(cluster, arn string) state.Key {
		return state.Key{Kind: state.KindTask, Cluster: cluster, ARN: arn}
	}
	instance := func(cluster, arn string) state.Key {
		return state.Key{Kind: state.KindInstance, Cluster: cluster, ARN: arn}
	}
	for name, want := range map[string]state.Record{
		"task-ec2-running.json":     {Key: task("prod", arn+"task/prod/1a2b3c4d5e6f47889900aabbccddeeff"), Version: 3},
		"task-ec2-stopped.json":     {Key: task("prod", arn+"task/prod/1a2b3c4d5e6f47889900aabbccddeeff"), Version: 6},
		"task-fargate-running.json": {Key: task("prod", arn+"task/prod/ffeeddccbbaa00998877665544332211"), Version: 4},
		"task-short-arn-2017.json": {
			Key: task("default", "arn:aws:ecs:us-east-1:123456789012:task/b99d40b3-5176-4f71-9a52-9dbd6f1cebef"), Version: 4,
		},
		"instance-active.json": {
			Key: instance("prod", arn+"container-instance/prod/0f3c1b2a9d8e4f7685940a1b2c3d4e5f"), Version: 14,
		},
		"instance-draining.json": {
			Key: instance("prod", arn+"container-instance/prod/0f3c1b2a9d8e4f7685940a1b2c3d4e5f"), Version: 21,
		},
		"instance-external-gov.json": {
			Key: instance("edge",
				"arn:aws-us-gov:ecs:us-gov-west-1:123456789012:container-instance/edge/77aa66bb55cc44dd33ee22ff11001122"),
			Version: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := testenv.Event(t, name)
			want.Value = body
			got, err := Decode(body)
			require.NoError(t, err)
			assert.Equal(t, want, got.Record)
		})
	}
}

// A subscription of the queue to an SNS topic without raw message delivery wraps events.
func TestDecode_UnwrapsNotificationsOfSNS(t *testing.T) {
	event := testenv.Event(t, "task-ec2-running.json")
	wrap := func(fields map[string]string) []byte {
		body, err := json.Marshal(fields)
		require.NoError(t, err)
		return body
	}
	notification := map[string]string{
		"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:ecs", "Message": string(event),
	}
	got, err := Decode(wrap(notification))
	require.NoError(t, err)
	want, err := Decode(event)
	require.NoError(t, err)
	assert.Equal(t, want, got, "the event is stored, not the notification")

	notification["Message"] = string(testenv.Event(t, "service-action.json"))
	_, err = Decode(wrap(notification))
	assert.ErrorIs(t, err, ErrUnsupportedKind)
	for name, message := range map[string]string{
		"no event": "hello", "malformed": string(testenv.Event(t, "broken.txt")), "wrapped twice": string(wrap(notification)),
	} {
		notification["Message"] = message
		_, err = Decode(wrap(notification))
		require.Error(t, err, name)
		assert.NotErrorIs(t, err, ErrUnsupportedKind, name)
	}
	_, err = Decode(wrap(map[string]string{"Type": "Notification", "Message": string(event)}))
	assert.Error(t, err, "no topic")
}

// A health change has no version and only a part of the instance, which must not replace the whole record.
func TestDecode_ReadsHealthChanges(t *testing.T) {
	event := string(testenv.Event(t, "instance-health-impaired.json"))
	got, err := Decode([]byte(event))
	require.NoError(t, err)
	assert.Equal(t, state.Key{
		Kind: state.KindInstance, Cluster: "prod",
		ARN: "arn:aws:ecs:eu-west-1:123456789012:container-instance/prod/0f3c1b2a9d8e4f7685940a1b2c3d4e5f",
	}, got.Key)
	assert.Equal(t, &state.HealthStatus{OverallStatus: "IMPAIRED", ChangedAt: "2026-03-04T10:20:00Z"}, got.Health)
	assert.False(t, got.Live, "ECS is not asked about it")
	for name, change := range map[string][2]string{
		"no status":       {`"overallStatus": "IMPAIRED"`, `"overallStatus": null`},
		"no time":         {`"time": "2026-03-04T10:20:00Z",`, ""},
		"no ARN":          {`"containerInstanceArn"`, `"x"`},
		"another cluster": {"cluster/prod", "cluster/other"},
	} {
		_, err := Decode([]byte(strings.ReplaceAll(event, change[0], change[1])))
		require.Error(t, err, name)
		assert.NotErrorIs(t, err, ErrUnsupportedKind, name)
	}
}

func TestUnsupportedKind_HasABoundedLabel(t *testing.T) {
	for kind, want := range map[string]string{
		"ECS Service Action": "service", "ECS Deployment State Change": "service",
		"ECS Daemon Service Action": "daemon", "ECS Daemon Deployment State Change": "daemon",
		"ECS Something New": "other", "": "other",
	} {
		assert.Equal(t, want, unsupportedKind(kind).label(), kind)
	}
}

func TestDecode_DistinguishesUnsupportedFromMalformed(t *testing.T) {
	_, err := Decode(testenv.Event(t, "service-action.json"))
	assert.ErrorIs(t, err, ErrUnsupportedKind)
	_, err = Decode([]byte(`{"detail-type":"ECS Something New","detail":7}`))
	assert.ErrorIs(t, err, ErrUnsupportedKind)
	foreign := testenv.Event(t, "task-ec2-running.json", `"source": "aws.ecs"`, `"source": "my.app"`)
	_, err = Decode(foreign)
	require.ErrorIs(t, err, ErrUnsupportedKind)
	assert.ErrorContains(t, err, "my.app")
	_, err = Decode(foreign[:len(foreign)-3])
	assert.NotErrorIs(t, err, ErrUnsupportedKind, "it is truncated")

	for name, body := range map[string][]byte{
		"truncated":             testenv.Event(t, "broken.txt"),
		"empty":                 nil,
		"no detail-type":        []byte(`{"detail":{}}`),
		"null":                  []byte(`null`),
		"no version":            testenv.Event(t, "task-ec2-running.json", `"version": 3`, `"version": 0`),
		"no status":             testenv.Event(t, "instance-active.json", `"status": "ACTIVE"`, `"status": ""`),
		"no task ARN":           testenv.Event(t, "task-ec2-running.json", `"taskArn"`, `"x"`),
		"exit code is a string": testenv.Event(t, "task-ec2-stopped.json", `"exitCode": 0`, `"exitCode": "0"`),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(body)
			require.Error(t, err)
			assert.NotErrorIs(t, err, ErrUnsupportedKind)
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, body := range testenv.Events(f) {
		f.Add(body)
	}
	f.Add([]byte(`{"detail-type":"ECS Task State Change","detail":null}`))
	f.Add([]byte(`{"detail-type":"ECS Something New","detail":{"a":1,"a":"\xff"}}`))
	f.Add([]byte(`{"Detail-Type":"ECS Task State Change","detail":{}} {}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		record, err := Decode(body)
		if (err == nil || errors.Is(err, ErrUnsupportedKind)) && !json.Valid(body) {
			t.Errorf("accepted malformed JSON: %q", body)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(record.Value, body) {
			t.Errorf("%q is stored as %q", body, record.Value)
		}
		if record.Version < 1 && record.Health == nil || record.Key.ARN == "" || record.Key.Cluster == "" {
			t.Errorf("accepted an event without identity or version: %q", body)
		}
		if key, err := state.ParseKey(record.Key.String()); err != nil || key != record.Key {
			t.Errorf("key %q is parsed as %+v, %v", record.Key, key, err)
		}
	})
}
