{{- define "watershed.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default "watershed-operator" .Values.nameOverride -}}
{{- if or (contains .Release.Name $name) (eq .Release.Name $name) -}}
{{- $name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "watershed.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "watershed.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "watershed.selector" -}}
app.kubernetes.io/name: watershed-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "watershed.labels" -}}
{{ include "watershed.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: watershed
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The name of an image: registry/repository, then a digest or a tag. */}}
{{- define "watershed.image" -}}
{{- $image := .image -}}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default .version $image.tag }}{{ end -}}
{{- end -}}

{{/* What the operator may do with the jobs of a namespace: one rule a purpose. */}}
{{- define "watershed.rules" -}}
# Jobs and snapshots are watched.
- apiGroups: [watershed.dev]
  resources: [streamjobs, streamsnapshots]
  verbs: [get, list, watch]
# A job that takes a last snapshot has a finaliser.
- apiGroups: [watershed.dev]
  resources: [streamjobs]
  verbs: [patch]
# Objects of a job are owned by it, and block its deletion until they are gone.
- apiGroups: [watershed.dev]
  resources: [streamjobs/finalizers]
  verbs: [update]
# How a job is, is reported.
- apiGroups: [watershed.dev]
  resources: [streamjobs/status, streamsnapshots/status]
  verbs: [patch]
# Coordinators and workers.
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch, create, patch]
# Manifests of jobs, one a revision; those that nobody needs go.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, patch, delete]
# How coordinator and workers are found, and the account they run under.
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, create, patch]
# What is wrong with a pod is told; one on a node that does not answer is removed once it is fenced.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
# How many workers may be down by intent.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, create, patch]
# Who may talk to a job's pods.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, create, patch]
# Events.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# Why a StatefulSet cannot create its pods is told by Events alone.
- apiGroups: [""]
  resources: [events]
  verbs: [list]
{{- end -}}
