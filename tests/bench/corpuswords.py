"""Vocabulary of the generated corpus: for each language of wanted mail, of junk, and of both."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """Words of one language, and a charset besides UTF-8 that its mail is still seen in."""

    charset: str
    common: list[str]
    ham: list[list[str]]  # by topic
    spam: list[list[str]]


def _words(text: str) -> list[str]:
    return text.split()


def _language(charset: str, common: str, ham: tuple[str, ...], spam: tuple[str, ...]) -> Language:
    return Language(charset, _words(common), list(map(_words, ham)), list(map(_words, spam)))


LANGUAGES = {
    "en": _language(
        "iso-8859-1",
        "the of and to in is you that it for was with are this have from not but what all were "
        "when your can there use each which how their will other about out many then them these "
        "some her would make like him into time has look two more write see number way could "
        "people than first been call who its now find long down day did get come made may part "
        "please thanks best regards hello dear know want need today week new also just let back",
        (
            "meeting agenda project deadline release branch review patch merge server backup "
            "customer contract draft budget team planning minutes office colleague training",
            "birthday dinner kids school holiday photos garden grandma weekend train flight cake "
            "sister cousin hospital doctor appointment neighbour bicycle concert tickets",
            "invoice order delivery attached receipt payment account statement shipment tracking "
            "warranty support ticket reference department balance september",
            "newsletter issue articles edition podcast interview sale subscribers conference "
            "speakers workshop register offer discount members unsubscribe",
        ),
        (
            "viagra cialis pharmacy pills prescription discount doctor shipping generic tablets "
            "weight loss miracle enlargement guaranteed results order discreet",
            "casino bonus jackpot winner spins poker betting deposit cash prize lottery claim "
            "congratulations selected million dollars beneficiary transfer",
            "bitcoin crypto investment profit trading wallet double returns broker opportunity "
            "earn income passive guaranteed risk free limited offer act",
            "verify account suspended password click link security update confirm urgent invoice "
            "payment attached bank login unusual activity expire immediately",
            "seo ranking backlinks traffic website google guarantee page leads marketing database "
            "emails cheap designers proposal business loan funding approved",
        ),
    ),
    "de": _language(
        "iso-8859-15",
        "der die und das ist nicht ein eine sie wir ich mit für auf von dem den des sich auch als "
        "noch wie bei nach aus über wenn kann werden oder aber schon mehr nur sehr haben diese "
        "heute morgen bitte danke viele grüße liebe hallo guten tag gerne schön zeit woche jahr",
        (
            "besprechung termin protokoll projekt angebot vertrag entwurf kunde kollege büro "
            "auswertung rechnung unterlagen sitzung abgabe schulung änderung",
            "geburtstag urlaub garten kuchen oma fahrrad zug konzert schule kinder wochenende "
            "familie fotos arzt wohnung nachbarn küche schlüssel",
            "bestellung lieferung versand sendung kundennummer gewährleistung zahlung betrag "
            "überweisung anhang bestätigung september",
        ),
        (
            "potenzmittel rezeptfrei apotheke tabletten versandkostenfrei abnehmen diät wunder "
            "garantiert diskret bestellen sofort rabatt",
            "gewonnen gewinn lotterie millionen euro auszahlung freispiele bonus glückwunsch "
            "jackpot kredit schufa sofortkredit ohne",
            "konto gesperrt bestätigen sicherheit passwort klicken link dringend sparkasse "
            "verifizieren daten aktualisieren frist mahnung inkasso rechnung",
        ),
    ),
    "fr": _language(
        "iso-8859-1",
        "le la les de des un une et est que qui dans pour pas sur avec vous nous je il elle ce "
        "cette mais plus par ou tout très bien comme aussi même être avoir fait bonjour merci "
        "cordialement demain semaine temps année peut encore après avant chez",
        (
            "réunion projet contrat devis client équipe dossier budget bureau compte rendu "
            "planning formation collègue livraison relecture",
            "anniversaire vacances jardin école enfants dîner photos train gâteau cousine "
            "médecin rendez vous appartement voisins vélo",
            "facture commande colis suivi paiement numéro garantie remboursement pièce jointe",
        ),
        (
            "pilules pharmacie ordonnance maigrir miracle garanti discret remise commandez",
            "gagné gagnant loterie casino bonus félicitations millions héritage virement",
            "compte suspendu vérifier mot passe cliquez urgent sécurité banque confirmer "
            "impayé facture crédit rapide investissement rendement",
        ),
    ),
    "es": _language(
        "iso-8859-1",
        "el la los las de que y en un una por con para no es se lo como más pero sus le ya este "
        "sí porque esta entre cuando muy sin sobre también me hasta hay donde hola gracias "
        "saludos mañana semana tiempo año puede todo bien desde nos",
        (
            "reunión proyecto contrato presupuesto cliente equipo borrador oficina informe plazo "
            "formación servidor revisión pedido",
            "cumpleaños vacaciones jardín escuela niños cena fotos tren primo médico cita piso "
            "vecinos bicicleta concierto",
            "factura pedido envío paquete seguimiento pago garantía devolución adjunto",
        ),
        (
            "pastillas farmacia receta adelgazar milagro garantizado descuento compre",
            "ganador premio lotería casino bono felicidades millones herencia transferencia",
            "cuenta suspendida verificar contraseña haga clic urgente seguridad banco confirmar "
            "préstamo inversión ganancias",
        ),
    ),
    "ru": _language(
        "koi8-r",
        "и в не на я что он с как это по но они мы она из то за все так от для вы бы же если уже "
        "или ни быть был него до вас нибудь опять вам ведь там потом себя ничего ей может тут "
        "где есть надо привет спасибо завтра сегодня неделя время год",
        (
            "встреча проект договор клиент команда отчёт бюджет офис сервер релиз проверка "
            "документы срок обучение коллега",
            "день рождения отпуск дача школа дети ужин фотографии поезд врач квартира соседи "
            "велосипед концерт бабушка",
            "счёт заказ доставка посылка оплата гарантия возврат вложение",
        ),
        (
            "таблетки аптека похудение чудо гарантия скидка закажите анонимно",
            "выигрыш казино бонус лотерея поздравляем миллион рублей наследство перевод",
            "аккаунт заблокирован подтвердите пароль ссылка срочно безопасность банк кредит "
            "инвестиции доход",
        ),
    ),
}

NAMES = _words(
    "anna bob carla dirk emma frank gina hans irene jan karin leo mia nico olga paul rita sven "
    "tina uwe vera willem xenia yuri zoe"
)
HAM_DOMAINS = ["example.org", "office.example", "family.example", "lists.example", "shop.example"]
SPAM_DOMAINS = [f"{a}{b}.example" for a in ("best", "top", "promo", "deal") for b in range(40)]
