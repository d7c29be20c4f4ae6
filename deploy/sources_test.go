package deploy

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	clusterstate "github.com/blox/blox/cluster-state-service"
)

var sourceOfCommand = regexp.MustCompile(`(?m)^ +- (?:!Sub )?(--source=\S+)$`)

// The guide describes changes of the template: the places that it names exist, and the service accepts the command.
func TestGuide_FurtherSourcesFitTheTemplate(t *testing.T) {
	text, err := os.ReadFile("docs/accounts-and-regions.md")
	require.NoError(t, err)
	var command []string
	for _, found := range sourceOfCommand.FindAllStringSubmatch(string(text), -1) {
		command = append(command,
			strings.NewReplacer("${AWS::Region}", "us-east-1", "${QueueName}", "blox_queue").Replace(found[1]))
	}
	require.Len(t, command, 3)
	command = append(command, "--etcd-endpoint=127.0.0.1:2379")
	cfg, err := clusterstate.ParseConfig(command, func(string) string { return "" }, io.Discard)
	require.NoError(t, err)
	assert.Len(t, cfg.Sources, 3)

	template, err := os.ReadFile(awsStack)
	require.NoError(t, err)
	for _, place := range []string{
		"  StateTask:", "            - {Name: CSS_QUEUE, Value: !Ref QueueName}",
		"  StateRole:", "              - Sid: Queue", "              - Sid: Read",
		"  SchedulerRole:", "  EnvironmentRoleArns:",
		"  QueuePolicy:", "          - Sid: DenyOtherSenders",
	} {
		assert.Contains(t, string(template), "\n"+place)
	}
}
