// Calls the method of this page and shows the answer. Without it the form works as any form does.

// What is shown of content that is not JSON.
const shownCharacters = 100000

/** @type {(id: string) => HTMLElement} */
const find = (id) => {
  const element = document.getElementById(id)
  if (!element) throw new Error(`no element ${id}`)
  return element
}

/** A browser sends an empty file for a field in which none was chosen.
 * @type {(form: HTMLFormElement) => FormData} */
const chosen = (form) => {
  const data = new FormData()
  for (const [name, value] of new FormData(form)) {
    if (typeof value === "string" || value.name || value.size) data.append(name, value)
  }
  return data
}

/** @type {(status: string, content: string) => void} */
const show = (status, content) => {
  find("answer").hidden = false
  find("status").textContent = status
  find("content").textContent = content
}

/** @type {(blob: Blob, name: string) => void} */
const offer = (blob, name) => {
  const link = /** @type {HTMLAnchorElement} */ (find("save"))
  URL.revokeObjectURL(link.href)
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.hidden = false
}

/** @type {(response: Response, method: string) => Promise<void>} */
const present = async (response, method) => {
  const status = `${response.status} ${response.statusText}`
  const kind = response.headers.get("Content-Type") ?? ""
  find("save").hidden = true
  if (kind.startsWith("application/json")) {
    show(status, JSON.stringify(await response.json(), null, 2))
  } else if (response.ok) {
    // Mail of strangers: never more than text on this page, whatever it says it is.
    const blob = await response.blob()
    show(`${status}, ${blob.size} octets`, await blob.slice(0, shownCharacters).text())
    offer(new Blob([blob], { type: "application/octet-stream" }), method)
  } else {
    show(status, await response.text())
  }
}

for (const form of document.forms) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault()
    show("Calling…", "")
    try {
      const call = { method: "POST", body: chosen(form) }
      await present(await fetch(form.action, call), form.dataset.method ?? "content")
    } catch (error) {
      show(`No answer: ${error}`, "")
    }
  })
}
