package command

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Values of --circuit-breaker.
const (
	breakerOff      = "off"
	breakerPause    = "pause"
	breakerRollback = "rollback"
)

// breakerModes maps the values of --circuit-breaker to fields of the circuit breaker.
var breakerModes = map[string]map[string]any{
	breakerOff:      {"enable": false, "rollback": false},
	breakerPause:    {"enable": true, "rollback": false},
	breakerRollback: {"enable": true, "rollback": true},
}

// environmentSpec holds the settings of an environment: a file and flags. Flags override the file.
type environmentSpec struct {
	file                     string
	cluster, definition      string
	attributes               []string
	query                    string
	minimum, maximum         int64
	breaker                  string
	threshold, bake          int64
	progressDeadline         int64
	canaryPercent            int64
	canaryQuery              string
	readiness                string
	drainOrder, scaleInAfter int64
	tags                     []string
	reset                    []string
	create                   bool
}

// fieldPaths maps flags to fields of the request's body.
var fieldPaths = map[string]string{
	"cluster":                   "instanceGroup.cluster",
	"task-definition":           "taskDefinition",
	"attribute":                 "instanceGroup.attributes",
	"query":                     "instanceGroup.query",
	"minimum-healthy-percent":   "deploymentConfiguration.minimumHealthyPercent",
	"maximum-percent":           "deploymentConfiguration.maximumPercent",
	"circuit-breaker":           "deploymentConfiguration.deploymentCircuitBreaker",
	"circuit-breaker-threshold": "deploymentConfiguration.deploymentCircuitBreaker.threshold",
	"bake-minutes":              "deploymentConfiguration.bakeTimeInMinutes",
	"progress-deadline-minutes": "deploymentConfiguration.progressDeadlineMinutes",
	"canary-percent":            "deploymentConfiguration.canary",
	"canary-query":              "deploymentConfiguration.canary",
	"readiness-attribute":       "readinessAttribute",
	"drain-order":               "drainOrder",
	"scale-in-after-minutes":    "scaleInAfterMinutes",
	"tag":                       "taskSettings.tags",
}

// resettable maps the values of --reset to fields. A reset field is null in the merge patch.
var resettable = map[string]string{
	"attributes":                "instanceGroup.attributes",
	"query":                     "instanceGroup.query",
	"minimum-healthy-percent":   fieldPaths["minimum-healthy-percent"],
	"maximum-percent":           fieldPaths["maximum-percent"],
	"circuit-breaker":           fieldPaths["circuit-breaker"],
	"bake-minutes":              fieldPaths["bake-minutes"],
	"progress-deadline-minutes": fieldPaths["progress-deadline-minutes"],
	"canary":                    fieldPaths["canary-percent"],
	"readiness-attribute":       fieldPaths["readiness-attribute"],
	"drain-order":               fieldPaths["drain-order"],
	"scale-in-after-minutes":    fieldPaths["scale-in-after-minutes"],
	"tags":                      fieldPaths["tag"],
	"task-settings":             "taskSettings",
	"deployment-configuration":  "deploymentConfiguration",
}

func (s *environmentSpec) flags(cmd *cobra.Command, create bool) {
	s.create = create
	flags := cmd.Flags()
	flags.StringVarP(&s.file, "file", "f", "",
		"JSON or YAML `file` with the body of the API's request; - for stdin. Flags override it")
	if create {
		flags.StringVar(&s.cluster, "cluster", "", "cluster, a `name` or an ARN")
	} else {
		flags.StringSliceVar(&s.reset, "reset", nil,
			"reset this `setting` to its default: "+strings.Join(sortedKeys(resettable), ", ")+"; repeatable")
		_ = cmd.RegisterFlagCompletionFunc("reset", fixed(sortedKeys(resettable)...))
	}
	flags.StringVar(&s.definition, "task-definition", "",
		"task definition: a `family` (its newest revision), family:revision or an ARN")
	flags.StringArrayVar(&s.attributes, "attribute", nil,
		"select instances with this attribute, `name=value`, or name for any value; repeatable, all must match")
	flags.StringVar(&s.query, "query", "",
		"select instances that match this `query` in the cluster query language, such as \"attribute:ecs.os-type == linux\"")
	flags.Int64Var(&s.minimum, "minimum-healthy-percent", 90,
		"minimum `percent` of instances with a running task during a rollout")
	flags.Int64Var(&s.maximum, "maximum-percent", 100,
		"maximum `percent`: 100 stops the old task first; up to 200 starts the new task first on that many more instances")
	flags.StringVar(&s.breaker, "circuit-breaker", breakerOff,
		"circuit breaker `mode` for a deployment that keeps failing: off, pause (fail and pause) or rollback (restore the "+
			"newest completed deployment)")
	flags.Int64Var(&s.threshold, "circuit-breaker-threshold", 0,
		"`number` of failures that trip the circuit breaker (default: half of the instances, 3 to 200)")
	flags.Int64Var(&s.bake, "bake-minutes", 0, "`minutes` that all tasks must run before a deployment completes")
	flags.Int64Var(&s.progressDeadline, "progress-deadline-minutes", 0,
		"`minutes` within which a new task must become RUNNING; 0: no deadline")
	flags.Int64Var(&s.canaryPercent, "canary-percent", 0,
		"roll out to this `percent` of the instances first, to the others after \"blox deployments promote\"")
	flags.StringVar(&s.canaryQuery, "canary-query", "",
		"roll out first to the instances that match this `query`, instead of --canary-percent")
	flags.StringVar(&s.readiness, "readiness-attribute", "",
		"custom `attribute` that Blox sets on an instance while its daemons run, for placement constraints")
	flags.Int64Var(&s.drainOrder, "drain-order", 0,
		"drain order: on a DRAINING instance, environments with a lower `number` stop first")
	flags.Int64Var(&s.scaleInAfter, "scale-in-after-minutes", 0,
		"stop the daemons of an instance that ran nothing else for this many `minutes`, for scale-in; 0: never")
	flags.StringArrayVar(&s.tags, "tag", nil, "tag of the tasks, `key=value`; repeatable")
	_ = cmd.RegisterFlagCompletionFunc("circuit-breaker", fixed(breakerOff, breakerPause, breakerRollback))
}

// document returns the body of a request: the file, overridden by the flags.
func (s *environmentSpec) document(cmd *cobra.Command, in io.Reader) (map[string]any, error) {
	document := map[string]any{}
	if s.file != "" {
		var err error
		if document, err = readDocument(s.file, in); err != nil {
			return nil, &usageError{cmd, fmt.Errorf("--file: %w", err)}
		}
	}
	if err := s.applyReset(document); err != nil {
		return nil, &usageError{cmd, err}
	}
	if cmd.Flags().Changed("canary-percent") && cmd.Flags().Changed("canary-query") {
		return nil, &usageError{cmd, errors.New("--canary-percent and --canary-query exclude each other")}
	}
	values, err := s.values()
	if err != nil {
		return nil, &usageError{cmd, err}
	}
	for name, value := range values {
		if flag := cmd.Flags().Lookup(name); flag != nil && flag.Changed {
			setField(document, fieldPaths[name], value)
		}
	}
	breaker, known := breakerModes[s.breaker]
	if !known {
		return nil, &usageError{cmd, fmt.Errorf("--circuit-breaker %q: must be off, pause or rollback", s.breaker)}
	}
	if cmd.Flags().Changed("circuit-breaker") {
		for field, value := range breaker {
			setField(document, fieldPaths["circuit-breaker"]+"."+field, value)
		}
	}
	if cmd.Flags().Changed("circuit-breaker-threshold") {
		setField(document, fieldPaths["circuit-breaker-threshold"], s.threshold)
	}
	return document, nil
}

// applyReset sets the fields of --reset to null.
func (s *environmentSpec) applyReset(document map[string]any) error {
	for _, name := range s.reset {
		path, known := resettable[name]
		if !known {
			return fmt.Errorf("--reset %q: must be one of %s", name, strings.Join(sortedKeys(resettable), ", "))
		}
		setField(document, path, nil)
	}
	return nil
}

// values returns the values of the flags, by name, except those of the circuit breaker.
func (s *environmentSpec) values() (map[string]any, error) {
	attributes, err := parsePairs(s.attributes, "name")
	if err != nil {
		return nil, fmt.Errorf("--attribute %w", err)
	}
	tags, err := parsePairs(s.tags, "key")
	if err != nil {
		return nil, fmt.Errorf("--tag %w", err)
	}
	return map[string]any{
		"cluster":                   s.cluster,
		"task-definition":           s.definition,
		"attribute":                 attributes,
		"query":                     s.query,
		"minimum-healthy-percent":   s.minimum,
		"maximum-percent":           s.maximum,
		"bake-minutes":              s.bake,
		"progress-deadline-minutes": s.progressDeadline,
		"readiness-attribute":       s.readiness,
		"drain-order":               s.drainOrder,
		"scale-in-after-minutes":    s.scaleInAfter,
		"tag":                       tags,
		// A merge patch keeps fields that it does not name, so the other one must be null.
		"canary-percent": s.canary("percent", s.canaryPercent, "query"),
		"canary-query":   s.canary("query", s.canaryQuery, "percent"),
	}, nil
}

func (s *environmentSpec) canary(field string, value any, other string) map[string]any {
	if s.create {
		return map[string]any{field: value}
	}
	return map[string]any{field: value, other: nil}
}

// parsePairs parses name=value, or a name alone, into {"<name>": name, "value": value}.
func parsePairs(given []string, name string) ([]any, error) {
	list := []any{}
	for _, text := range given {
		key, value, _ := strings.Cut(text, "=")
		if key == "" {
			return nil, fmt.Errorf("%q: must be %s=value", text, name)
		}
		pair := map[string]any{name: key}
		if value != "" {
			pair["value"] = value
		}
		list = append(list, pair)
	}
	return list, nil
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
