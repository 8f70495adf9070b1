{{- define "vstack.name" -}}
{{- if contains "vstack" .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-vstack" .Release.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "vstack.selector" -}}
app.kubernetes.io/name: vstack-api
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "vstack.labels" -}}
{{ include "vstack.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "vstack.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* What the doctor and the service share. */ -}}
{{- define "vstack.container" -}}
image: {{ include "vstack.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
envFrom:
  - configMapRef: { name: {{ include "vstack.name" . }} }
  - secretRef: { name: {{ .Values.providersSecret }}, optional: true }
volumeMounts:
  - { name: keys, mountPath: /etc/vstack/keys, readOnly: true }
  - { name: home, mountPath: /var/lib/vstack }
  - { name: tmp, mountPath: /tmp }
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}
