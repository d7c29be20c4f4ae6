package main

import (
	"cmp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv/short"
)

func TestTexts_FindsWhatPeopleRead(t *testing.T) {
	for name, tc := range map[string]struct {
		path, source string
		want         []Text
	}{
		"errors, logs and other literals of Go code": {"a/b.go", `package b

const reason = "The task keeps stopping."

func f(log Logger, name string) error {
	log.WithField("name", name).Warn("failed to read file")
	pattern := regexp.MustCompile("one two three")
	usage("first line\n" +
		"of " + name + ", then the last")
	return fmt.Errorf("read the file %s: %w", name, err)
}
`, []Text{
			{"a/b.go", 3, other, "The task keeps stopping."},
			{"a/b.go", 6, logMessage, "failed to read file"},
			{"a/b.go", 8, other, "first line\nof %s, then the last"},
			{"a/b.go", 10, errorText, "read the file %s: %w"},
		}},
		"no tests and no generated code": {"a/b_test.go", `package b; const a = "one two three"`, nil},
		"descriptions in an API": {"swagger/a/v1/swagger.json", `{
  "summary": "Stop one task.",
  "name": "not a text",
  "get": {"description": "Stops a task at once."}
}`, []Text{
			{"swagger/a/v1/swagger.json", 2, other, "Stop one task."},
			{"swagger/a/v1/swagger.json", 4, other, "Stops a task at once."},
		}},
		"descriptions of alerts": {"deploy/monitoring/alerts.yml", `groups:
  - rules:
      - expr: up == 0
        annotations:
          summary: No replica leads.
          description: >
            Two lines
            of text.
`, []Text{
			{"deploy/monitoring/alerts.yml", 5, other, "No replica leads."},
			{"deploy/monitoring/alerts.yml", 6, other, "Two lines of text.\n"},
		}},
		"literals of a page": {"a/ui/static/b.js", "// one 'two three' four\nconst a = `Stop ${name} on ${n} instances`;\n",
			[]Text{{"a/ui/static/b.js", 2, other, "Stop %s on %s instances"}}},
	} {
		t.Run(name, func(t *testing.T) {
			texts, err := textsOf(tc.path, []byte(tc.source))
			require.NoError(t, err)
			assert.Equal(t, tc.want, texts)
		})
	}
}

// The rules must find each of the faults, and must not force bad English.
func TestRules_FindFaultsOnly(t *testing.T) {
	short.Skip(t, "builds Vale")
	long := "The leader starts a task on each instance of the cluster and stops the tasks of the earlier revision, " +
		"one instance after another, until all instances of it run the new one."
	faults := []Text{
		{Text: "The log tells the reason."},
		{Text: "The agents are asked for their version."},
		{Text: "The task and its container came back."},
		{Text: "Nobody answers the call."},
		{Text: "Blox stops those that are superseded."},
		{Text: "An odd record is skipped."},
		{Text: "Blox stops the task. What follows is a start."},
		{Text: "It is the leader alone that starts tasks."},
		{Text: "Stop the take-over of a service."},
		{Text: long},
		{Text: "could not read the file", Kind: logMessage},
		{Text: "# Is the service ready?\n\nRead it."},
	}
	sound := []Text{
		{Text: "An odd number of members survives the loss of one."},
		{Text: "Blox runs on every instance."},
		{Text: "The task that stopped is replaced."},
		{Text: "Run `tell me what it says` and read the output."},
		{Text: "The task keeps stopping, and its service goes through all its states."},
		{Text: "Use this form:\n\n  what the user asked\n  says nobody"},
		{Text: "could not read the file", Kind: errorText},
		{Text: "Accepted are pending, running, stopped, active, inactive and draining."},
		{Text: "```\nWhat it says\n```\n\nThe output has one line."},
	}
	var texts []Text
	for i, text := range append(faults, sound...) {
		text.Path, text.Line, text.Kind = "text", i, cmp.Or(text.Kind, other)
		texts = append(texts, text)
	}
	findings, err := check(t.Context(), "../..", nil, texts)
	require.NoError(t, err)
	found := map[int]string{}
	for _, f := range findings {
		found[f.Line] += f.Message
	}
	for _, text := range texts {
		if text.Line < len(faults) {
			assert.NotEmpty(t, found[text.Line], text.Text)
		} else {
			assert.Empty(t, found[text.Line], text.Text)
		}
	}
}
