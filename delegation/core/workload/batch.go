package workload

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

func jobs(r *rules) registry.Resource {
	columns := append(nameThen(declare.Column("Status", "Status of the job."), declare.Column("Completions", batchv1.JobStatus{}.SwaggerDoc()["succeeded"]),
		declare.Column("Duration", "Time required to complete the job."), declare.AgeColumn()), append(podSetColumns(), selectorColumn())...)
	return kind[batchv1.Job, batchv1.JobList](r, registry.Resource{
		GroupVersion: batchv1.SchemeGroupVersion, Kind: "Job", Name: "jobs", SingularName: "job", Categories: all(), Namespaced: true, Status: true,
		Strategy: registry.Strategy{Generation: true, Dependents: registry.Orphaned, FieldNames: []string{"status.successful"}, Fields: func(object []byte) fields.Set {
			var j struct{ Status struct{ Succeeded int32 } }
			if err := json.Unmarshal(object, &j); err != nil {
				return nil
			}
			return fields.Set{"status.successful": strconv.Itoa(int(j.Status.Succeeded))}
		}},
		Table: declare.Table(jobCells, columns...),
	}, declare.Rules[*batchv1.Job]{
		Create:   claimPods,
		Validate: func(j *batchv1.Job) field.ErrorList { return checkJob(&j.Spec, field.NewPath("spec"), true) },
		ValidateUpdate: func(j, old *batchv1.Job) field.ErrorList {
			errs := sameSelector(j.Spec.Selector, old.Spec.Selector)
			if !apiequality.Semantic.DeepEqual(j.Spec.Template, old.Spec.Template) && !valueOf(old.Spec.Suspend) {
				errs = append(errs, field.Invalid(field.NewPath("spec", "template"), "", "field is immutable"))
			}
			return errs
		},
	})
}

// claimPods gives a job a selector that finds its own pods and no others, unless the client has seen to that.
func claimPods(_ context.Context, j *batchv1.Job) {
	if valueOf(j.Spec.ManualSelector) {
		return
	}
	mark := func(set *map[string]string, key, value string) {
		if *set == nil {
			*set = map[string]string{}
		}
		(*set)[key] = value
	}
	for _, l := range []struct{ key, value string }{
		{"controller-uid", string(j.UID)}, {"job-name", j.Name},
		{batchv1.ControllerUidLabel, string(j.UID)}, {batchv1.JobNameLabel, j.Name},
	} {
		mark(&j.Spec.Template.Labels, l.key, l.value)
	}
	if j.Spec.Selector == nil {
		j.Spec.Selector = &metav1.LabelSelector{}
	}
	mark(&j.Spec.Selector.MatchLabels, batchv1.ControllerUidLabel, string(j.UID))
}

func checkJob(s *batchv1.JobSpec, path *field.Path, selects bool) field.ErrorList {
	errs := append(notNegative(s.Parallelism, path.Child("parallelism")), notNegative(s.Completions, path.Child("completions"))...)
	errs = append(errs, notNegative(s.BackoffLimit, path.Child("backoffLimit"))...)
	errs = append(errs, notNegative(s.TTLSecondsAfterFinished, path.Child("ttlSecondsAfterFinished"))...)
	if s.ActiveDeadlineSeconds != nil && *s.ActiveDeadlineSeconds < 0 {
		errs = append(errs, field.Invalid(path.Child("activeDeadlineSeconds"), *s.ActiveDeadlineSeconds, "must be greater than or equal to 0"))
	}
	if restart := s.Template.Spec.RestartPolicy; restart != corev1.RestartPolicyOnFailure && restart != corev1.RestartPolicyNever {
		errs = append(errs, field.Required(path.Child("template", "spec", "restartPolicy"), `valid values: "OnFailure", "Never"`))
	}
	if !selects {
		return errs
	}
	if s.Selector == nil {
		return append(errs, field.Required(path.Child("selector"), ""))
	}
	if selector, err := metav1.LabelSelectorAsSelector(s.Selector); err == nil {
		errs = append(errs, checkSelected(selector, &s.Template, path)...)
	}
	return errs
}

func jobCells(j *batchv1.Job) []any {
	completions := strconv.Itoa(int(j.Status.Succeeded))
	switch {
	case j.Spec.Completions != nil:
		completions = outOf(j.Status.Succeeded, *j.Spec.Completions)
	case valueOf(j.Spec.Parallelism) > 1:
		completions += "/1 of " + strconv.Itoa(int(*j.Spec.Parallelism))
	default:
		completions += "/1"
	}
	took := ""
	switch {
	case j.Status.StartTime == nil:
	case j.Status.CompletionTime == nil:
		took = duration.HumanDuration(time.Since(j.Status.StartTime.Time))
	default:
		took = duration.HumanDuration(j.Status.CompletionTime.Sub(j.Status.StartTime.Time))
	}
	names, images := containersAndImages(&j.Spec.Template.Spec)
	return []any{j.Name, jobState(j), completions, took, declare.Age(&j.ObjectMeta), names, images, selectorCell(j.Spec.Selector)}
}

func jobState(j *batchv1.Job) string {
	has := func(kind batchv1.JobConditionType) bool {
		for _, c := range j.Status.Conditions {
			if c.Type == kind && c.Status == corev1.ConditionTrue {
				return true
			}
		}
		return false
	}
	switch {
	case has(batchv1.JobComplete):
		return "Complete"
	case has(batchv1.JobFailed):
		return "Failed"
	case j.DeletionTimestamp != nil:
		return "Terminating"
	case has(batchv1.JobSuspended):
		return "Suspended"
	case has(batchv1.JobFailureTarget):
		return "FailureTarget"
	case has(batchv1.JobSuccessCriteriaMet):
		return "SuccessCriteriaMet"
	}
	return "Running"
}

func cronJobs(r *rules) registry.Resource {
	doc := batchv1.CronJobSpec{}.SwaggerDoc()
	columns := append(nameThen(declare.Column("Schedule", doc["schedule"]), declare.Column("Timezone", doc["timeZone"]), declare.Column("Suspend", doc["suspend"]),
		declare.IntegerColumn("Active", batchv1.CronJobStatus{}.SwaggerDoc()["active"]), declare.Column("Last Schedule", batchv1.CronJobStatus{}.SwaggerDoc()["lastScheduleTime"]),
		declare.AgeColumn()), append(podSetColumns(), selectorColumn())...)
	return kind[batchv1.CronJob, batchv1.CronJobList](r, registry.Resource{
		GroupVersion: batchv1.SchemeGroupVersion, Kind: "CronJob", Name: "cronjobs", SingularName: "cronjob",
		ShortNames: []string{"cj"}, Categories: all(), Namespaced: true, Status: true, Strategy: counted(),
		Table: declare.Table(func(c *batchv1.CronJob) []any {
			last := declare.NoneCell
			if c.Status.LastScheduleTime != nil {
				last = declare.Since(c.Status.LastScheduleTime.Time)
			}
			zone := declare.NoneCell
			if c.Spec.TimeZone != nil {
				zone = *c.Spec.TimeZone
			}
			suspended := "False"
			if valueOf(c.Spec.Suspend) {
				suspended = "True"
			}
			names, images := containersAndImages(&c.Spec.JobTemplate.Spec.Template.Spec)
			return []any{c.Name, c.Spec.Schedule, zone, suspended, int64(len(c.Status.Active)), last, declare.Age(&c.ObjectMeta),
				names, images, selectorCell(c.Spec.JobTemplate.Spec.Selector)}
		}, columns...),
	}, declare.Rules[*batchv1.CronJob]{Validate: validateCronJob})
}

// maxCronJobName leaves room for the time that a controller appends to name a job.
const maxCronJobName = 52

func validateCronJob(c *batchv1.CronJob) field.ErrorList {
	spec := field.NewPath("spec")
	errs := checkJob(&c.Spec.JobTemplate.Spec, spec.Child("jobTemplate", "spec"), false)
	if len(c.Name) > maxCronJobName {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), c.Name, "must be no more than 52 characters"))
	}
	if c.Spec.Schedule != "" {
		if err := checkSchedule(c.Spec.Schedule); err != nil {
			errs = append(errs, field.Invalid(spec.Child("schedule"), c.Spec.Schedule, err.Error()))
		}
	}
	if zone := c.Spec.TimeZone; zone != nil {
		if _, err := time.LoadLocation(*zone); *zone == "" || *zone == "Local" || err != nil {
			errs = append(errs, field.Invalid(spec.Child("timeZone"), *zone, "must be a time zone by its name"))
		}
	}
	return append(errs, notNegative(c.Spec.SuccessfulJobsHistoryLimit, spec.Child("successfulJobsHistoryLimit"))...)
}
