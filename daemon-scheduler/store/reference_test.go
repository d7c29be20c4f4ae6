package store

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/docs"
)

func TestReference_Keys(t *testing.T) {
	rows := [][]string{
		{EnvironmentPrefix + "<name>", "environment with its revisions and deployments", "the serving replica; the leader",
			"until the environment is deleted"},
		{LaunchPrefix + "<name>/<instance ARN>", "launch record: state, attempts and failures on the instance", "the leader",
			"until the instance or the environment is gone"},
		{AttributePrefix + "<attribute>/<instance ARN>", "readiness attribute that Blox has set", "the leader",
			"until Blox removes the attribute"},
		{
			ConditionsPrefix + "<name>", "conditions that the leader observes", "the leader",
			"until no condition holds",
		},
		{HealthPrefix + "<name>/<task ARN>", "container health of a task", "the leader", "until the task stops"},
		{
			EventPrefix + "<batch>", "batch of events", "each replica",
			"two weeks; less if events exceed their bounds",
		},
		{eventSinkPrefix + "<sink>", "position up to which the sink has received events", "the leader", "no end"},
		{ResponsePrefix + "<hash>", "response to a request with an `Idempotency-Key`", "the serving replica",
			"`--idempotency-retention`, and up to an hour more"},
		{
			electionPrefix + "/<lease>", "candidate of the election; not JSON", "each replica",
			"`--leader-lease` without a renewal",
		},
	}
	table := docs.Table{Header: []string{"key", "value", "written by", "kept"}}
	var keys []string
	for _, row := range rows {
		table.Add(docs.Code(row[0]), row[1], row[2], row[3])
		keys = append(keys, row[0])
	}
	docs.Check(t, "../docs/reference/etcd.md", "keys", table.String())
	for name, prefix := range docs.Constants(t, ".", "") {
		if strings.HasPrefix(prefix, "ecs/") {
			assert.Contains(t, strings.Join(keys, "\n"), prefix, name)
		}
	}
}
