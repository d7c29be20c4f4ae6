package command

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/manifest"
)

// environmentSpec holds the settings of an environment: a file and flags. Flags override the file.
type environmentSpec struct {
	file                     string
	environmentType          string
	cluster, definition      string
	attributes               []string
	query                    string
	minimum, maximum         int64
	maxUnavailable, maxSurge int64
	breaker                  string
	threshold                string
	resetFailures            bool
	bake                     int64
	progressDeadline         int64
	minimumHealthy           int64
	unhealthyPolicy          string
	slowStart                bool
	spreadBy                 string
	canaryPercent            int64
	canaryQuery              string
	canarySteps              []string
	readiness                string
	drainOrder, scaleInAfter int64
	tags                     []string
	reset                    []string
	create                   bool
	fromService              string
	deleteService, dryRun    bool
	alarms                   alarmFlags
	role                     roleFlags
}

// fieldPaths maps flags to fields of the request's body.
var fieldPaths = map[string]string{
	"environment-type":          "environmentType",
	"cluster":                   "instanceGroup.cluster",
	"task-definition":           "taskDefinition",
	"attribute":                 "instanceGroup.attributes",
	"query":                     "instanceGroup.query",
	"minimum-healthy-percent":   "deploymentConfiguration.minimumHealthyPercent",
	"maximum-percent":           "deploymentConfiguration.maximumPercent",
	"max-unavailable":           "deploymentConfiguration.maxUnavailable",
	"max-surge":                 "deploymentConfiguration.maxSurge",
	"circuit-breaker":           "deploymentConfiguration.deploymentCircuitBreaker",
	"circuit-breaker-reset":     "deploymentConfiguration.deploymentCircuitBreaker.resetOnHealthyTask",
	"bake-minutes":              "deploymentConfiguration.bakeTimeInMinutes",
	"progress-deadline-minutes": "deploymentConfiguration.progressDeadlineMinutes",
	"minimum-healthy-seconds":   "deploymentConfiguration.minimumHealthySeconds",
	"unhealthy-policy":          "unhealthyPolicy",
	"slow-start":                "deploymentConfiguration.slowStart",
	"spread-by":                 "deploymentConfiguration.spreadBy",
	"canary-percent":            "deploymentConfiguration.canary",
	"canary-query":              "deploymentConfiguration.canary",
	"canary-step":               "deploymentConfiguration.canary",
	"readiness-attribute":       "readinessAttribute",
	"drain-order":               "drainOrder",
	"scale-in-after-minutes":    "scaleInAfterMinutes",
	"tag":                       "taskSettings.tags",
	"from-service":              "fromService.service",
	"delete-service":            "fromService.deleteService",
}

// resettable maps the values of --reset to fields. A reset field is null in the merge patch.
var resettable = map[string]string{
	"attributes":                "instanceGroup.attributes",
	"query":                     "instanceGroup.query",
	"minimum-healthy-percent":   fieldPaths["minimum-healthy-percent"],
	"maximum-percent":           fieldPaths["maximum-percent"],
	"max-unavailable":           fieldPaths["max-unavailable"],
	"max-surge":                 fieldPaths["max-surge"],
	"circuit-breaker":           fieldPaths["circuit-breaker"],
	"bake-minutes":              fieldPaths["bake-minutes"],
	"progress-deadline-minutes": fieldPaths["progress-deadline-minutes"],
	"spread-by":                 fieldPaths["spread-by"],
	"minimum-healthy-seconds":   fieldPaths["minimum-healthy-seconds"],
	"unhealthy-policy":          fieldPaths["unhealthy-policy"],
	"slow-start":                fieldPaths["slow-start"],
	"canary":                    fieldPaths["canary-percent"],
	"readiness-attribute":       fieldPaths["readiness-attribute"],
	"drain-order":               fieldPaths["drain-order"],
	"scale-in-after-minutes":    fieldPaths["scale-in-after-minutes"],
	"alarms":                    alarmsField,
	"role":                      roleFields["role"],
	"role-external-id":          roleFields["role-external-id"],
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
		flags.StringVar(&s.environmentType, "environment-type", "DAEMON",
			"`type` of the environment; DAEMON, one task on each selected instance, is the only one")
		_ = cmd.RegisterFlagCompletionFunc("environment-type", fixed("DAEMON"))
		flags.StringVar(&s.cluster, "cluster", "", "cluster, a `name` or an ARN")
		flags.StringVar(&s.fromService, "from-service", "",
			"take over this DAEMON `service` of the cluster, at once; its task definition and instances are the defaults")
		flags.BoolVar(&s.deleteService, "delete-service", false, "delete the service after the takeover")
		flags.BoolVar(&s.dryRun, "dry-run", false, "show the environment, and create nothing")
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
	s.rolloutFlags(cmd)
	s.role.define(cmd)
	flags.StringVar(&s.readiness, "readiness-attribute", "",
		"custom `attribute` that Blox sets on an instance while its daemons run, for placement constraints")
	flags.Int64Var(&s.drainOrder, "drain-order", 0,
		"drain order: on a DRAINING instance, environments with a lower `number` stop first")
	flags.Int64Var(&s.scaleInAfter, "scale-in-after-minutes", 0,
		"stop the daemons of an instance that ran nothing else for this many `minutes`, for scale-in; 0: never")
	flags.StringArrayVar(&s.tags, "tag", nil, "tag of the tasks, `key=value`; repeatable")
}

// source names the origin of the settings, for people.
func (s *environmentSpec) source() string {
	switch s.file {
	case "":
		return "flags"
	case "-":
		return "stdin"
	}
	return s.file
}

// document returns the body of a request: the file, overridden by the flags.
func (s *environmentSpec) document(cmd *cobra.Command, in io.Reader) (map[string]any, error) {
	document := map[string]any{}
	if s.file != "" {
		read, err := manifest.Read([]string{s.file}, false, in)
		if err == nil && len(read) > 1 {
			err = fmt.Errorf("%s holds %d environments, must hold one: \"blox apply\" takes several", s.source(), len(read))
		}
		if err != nil {
			return nil, &usageError{cmd, fmt.Errorf("--file: %w", err)}
		}
		document = read[0].Fields
	}
	if err := s.applyReset(document); err != nil {
		return nil, &usageError{cmd, err}
	}
	if err := s.replaceAlternatives(document, cmd.Flags().Changed); err != nil {
		return nil, &usageError{cmd, err}
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
	s.role.apply(cmd, document)
	if err := s.alarms.apply(cmd, document); err != nil {
		return nil, &usageError{cmd, err}
	}
	for name, fields := range map[string]func() (map[string]any, error){
		"circuit-breaker": s.breakerMode, "circuit-breaker-threshold": s.breakerThreshold,
	} {
		if !cmd.Flags().Changed(name) {
			continue
		}
		values, err := fields()
		if err != nil {
			return nil, &usageError{cmd, fmt.Errorf("--%s %w", name, err)}
		}
		for field, value := range values {
			setField(document, fieldPaths["circuit-breaker"]+"."+field, value)
		}
	}
	return document, nil
}

// alternatives are flags for the same limit, of which a request has one.
var alternatives = [][2]string{
	{"minimum-healthy-percent", "max-unavailable"}, {"maximum-percent", "max-surge"}, {"canary-percent", "canary-query"},
	{"canary-percent", "canary-step"}, {"canary-query", "canary-step"},
}

// replaceAlternatives resets the field of each flag whose alternative is given.
func (s *environmentSpec) replaceAlternatives(document map[string]any, given func(flag string) bool) error {
	for _, pair := range alternatives {
		switch first, second := fieldPaths[pair[0]], fieldPaths[pair[1]]; {
		case given(pair[0]) && given(pair[1]):
			return fmt.Errorf("--%s and --%s are mutually exclusive", pair[0], pair[1])
		case given(pair[0]):
			s.resetField(document, second)
		case given(pair[1]):
			s.resetField(document, first)
		}
	}
	return nil
}

// resetField resets a field to its default. A merge patch keeps fields that it does not name, so it is null there.
func (s *environmentSpec) resetField(document map[string]any, path string) {
	if s.create {
		removeField(document, path)
		return
	}
	setField(document, path, nil)
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

// values returns the values of the flags, by name, except the circuit breaker's mode and threshold.
func (s *environmentSpec) values() (map[string]any, error) {
	attributes, err := parsePairs(s.attributes, "name")
	if err != nil {
		return nil, fmt.Errorf("--attribute %w", err)
	}
	tags, err := parsePairs(s.tags, "key")
	if err != nil {
		return nil, fmt.Errorf("--tag %w", err)
	}
	steps, err := parseSteps(s.canarySteps)
	if err != nil {
		return nil, fmt.Errorf("--canary-step %w", err)
	}
	return map[string]any{
		"environment-type":          s.environmentType,
		"cluster":                   s.cluster,
		"task-definition":           s.definition,
		"attribute":                 attributes,
		"query":                     s.query,
		"minimum-healthy-percent":   s.minimum,
		"maximum-percent":           s.maximum,
		"max-unavailable":           s.maxUnavailable,
		"max-surge":                 s.maxSurge,
		"bake-minutes":              s.bake,
		"progress-deadline-minutes": s.progressDeadline,
		"minimum-healthy-seconds":   s.minimumHealthy,
		"unhealthy-policy":          s.unhealthyPolicy,
		"readiness-attribute":       s.readiness,
		"drain-order":               s.drainOrder,
		"scale-in-after-minutes":    s.scaleInAfter,
		"tag":                       tags,
		"circuit-breaker-reset":     s.resetFailures,
		"from-service":              s.fromService,
		"delete-service":            s.deleteService,
		"slow-start":                s.slowStart,
		"spread-by":                 s.spreadBy,
		"canary-percent":            s.exclusive("percent", s.canaryPercent, "query", "steps"),
		"canary-query":              s.exclusive("query", s.canaryQuery, "percent", "steps"),
		"canary-step":               s.exclusive("steps", steps, "percent", "query"),
	}, nil
}

// exclusive returns a field with its value, without the others. A merge patch keeps fields that it does not name, so
// the others must be null there.
func (s *environmentSpec) exclusive(field string, value any, others ...string) map[string]any {
	fields := map[string]any{field: value}
	if !s.create {
		for _, other := range others {
			fields[other] = nil
		}
	}
	return fields
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
